"""GET /environments, as one writes it first: every convenience, all of it loaded at once.

For measuring only. It asks the same items of the same table and verifies the same token.
"""

import os
from typing import Any, Literal

import boto3
import jwt
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.exceptions import NotFoundError, UnauthorizedError
from aws_lambda_powertools.logging import correlation_paths
from boto3.dynamodb.conditions import Key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel

logger = Logger()
tracer = Tracer()
metrics = Metrics()
app = APIGatewayHttpResolver(enable_validation=True)
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


class Environment(BaseModel):
    id: str
    project_id: str
    name: str
    type: Literal["ephemeral", "persistent"]
    status: str
    base_url: str | None = None
    ttl_hours: float | None = None
    expires_at: str | None = None
    created_at: str


@tracer.capture_method
def public_key() -> Ed25519PublicKey:
    answer = table.query(KeyConditionExpression=Key("pk").eq("KEYS"), ConsistentRead=True)
    raw = jwt.utils.base64url_decode(answer["Items"][0]["x"])
    return Ed25519PublicKey.from_public_bytes(raw)


key: Ed25519PublicKey | None = None


@tracer.capture_method
def caller() -> str:
    global key
    key = key or public_key()
    scheme, _, token = app.current_event.headers.get("authorization", "").partition(" ")
    try:
        return str(jwt.decode(token, key, algorithms=["EdDSA"], audience="slipway")["sub"])
    except jwt.InvalidTokenError as error:
        raise UnauthorizedError(f"{scheme} token: {error}") from error


@app.get("/api/v1/environments/<environment_id>")
@tracer.capture_method
def get(environment_id: str) -> Environment:
    user_id = caller()
    _, p, e = environment_id.split("_")
    member = table.get_item(
        Key={"pk": f"PROJECT#{p}", "sk": f"MEMBER#{user_id}"}, ConsistentRead=True
    )
    found = table.get_item(Key={"pk": f"PROJECT#{p}", "sk": f"ENV#{e}"}, ConsistentRead=True)
    if "Item" not in member or "Item" not in found:
        raise NotFoundError("No such environment")
    metrics.add_metric(name="EnvironmentsRead", unit="Count", value=1)
    return Environment.model_validate(found["Item"])


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
