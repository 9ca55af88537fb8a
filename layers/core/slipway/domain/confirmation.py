"""Confirmations: destructive requests of machines, which wait for a person.

A confirmation holds one request of a token or a workload. It is `awaiting_confirmation` until a
person approves or rejects it, or until it expires. What is approved is carried out once, with the
rights that the machine has by then.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import Field, JsonValue
from pydantic.json_schema import SkipJsonSchema

from slipway.domain.fields import Line, RequestModel, ResponseModel
from slipway.domain.rights import Kind
from slipway.domain.timestamps import Moment

Status = Literal[
    "awaiting_confirmation", "approved", "rejected", "expired", "carried_out", "failed"
]
Change = Literal["asked", "approved", "rejected", "expired", "carried_out", "failed"]
"""Why a confirmation was last written."""

LASTS = timedelta(hours=24)
# How long a confirmation that has ended can be read.
KEPT = timedelta(days=90)


_AGENT = {
    "id": "tok_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq",
    "kind": "agent",
    "name": "nightly clean-up",
}
_PERSON = {"id": "usr_01kaq3h5x0c2m9f7r4tz", "kind": "user", "name": "ann@example.com"}
_ENVIRONMENT = "env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"
_REQUEST = {
    "method": "DELETE",
    "path": f"/api/v1/environments/{_ENVIRONMENT}",
    "if_match": '"4"',
}


class Asker(ResponseModel):
    """Who acts: a person, a token or a workload."""

    id: str = Field(examples=["tok_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"])
    kind: Kind = Field(examples=["agent"])
    name: str = Field(examples=["nightly clean-up"])


class StoredRequest(ResponseModel):
    """The request that is carried out once it is approved."""

    method: str = Field(examples=["DELETE"])
    path: str = Field(
        examples=["/api/v1/environments/env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"]
    )
    query: str | None = Field(None, examples=["force=true"])
    body: JsonValue = Field(None, description="Its JSON. It never has a secret.")
    if_match: str | None = Field(
        None, description="The version to which it is bound.", examples=['"4"']
    )


class Outcome(ResponseModel):
    """The response to the request when it was carried out."""

    status: int = Field(description="The HTTP status.", examples=[202])
    code: str | None = Field(
        None, description="The code of the error, if it was refused.", examples=[None]
    )
    detail: str | None = None
    body: JsonValue = Field(None, description="The object in the response, if it succeeded.")


class Confirmation(ResponseModel):
    """The request waits for a person of the project, who confirms it in a session of their own."""

    id: str = Field(examples=["cnf_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"])
    project_id: str = Field(examples=["prj_01kaq3h5x0c2m9f7r4tz"])
    status: Status
    action: str = Field(description="What is asked.", examples=["environments:destroy"])
    target: str = Field(
        description="The id of what it concerns.",
        examples=["env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"],
    )
    target_name: str = Field(examples=["preview-pr-123"])
    reason: str = Field(
        description="Why it needs a person.", examples=["It tears down preview-pr-123."]
    )
    request: StoredRequest = Field(examples=[_REQUEST])
    digest: str = Field(
        examples=["5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"],
        description="The SHA-256 of the request, of who asks, and of the target's version.",
    )
    asked_by: Asker = Field(examples=[_AGENT])
    created_at: Moment
    expires_at: Moment = Field(description="Undecided by then, it is never carried out.")
    decided_by: Asker | None = Field(None, examples=[_PERSON])
    decided_at: Moment | None = None
    rejection: str | None = Field(
        None, description="Why it was rejected.", examples=["The demo still needs it."]
    )
    finished_at: Moment | None = None
    result: Outcome | None = Field(
        None,
        description="What came of it, once it is `carried_out` or `failed`.",
        examples=[{"status": 412, "code": "precondition_failed", "detail": "It has changed."}],
    )
    version: int = Field(description="Increases with every change. Also the ETag.")
    # Not shown: whether it is shown otherwise than it is stored.
    overdue: SkipJsonSchema[bool] = Field(False, exclude=True)

    @property
    def location(self) -> str:
        return f"/api/v1/confirmations/{self.id}"

    def as_seen_at(self, now: datetime) -> Confirmation:
        """A copy that has expired if its time is over, even if nothing has recorded that yet."""
        if self.status != "awaiting_confirmation" or self.expires_at > now:
            return self
        return self.model_copy(update={"status": "expired", "overdue": True})


class Approval(RequestModel):
    digest: str | None = Field(
        None,
        min_length=64,
        max_length=64,
        description="The digest of what you have read. It is refused if it is another one.",
    )


class Rejection(RequestModel):
    reason: Line | None = Field(None, examples=["The demo still needs it."])


def digest_of(asker: str, request: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    """The digest of a request: what is asked, by whom, and of which version of its target."""
    fields = ("method", "path", "query", "body", "if_match")
    content = [asker, *(request.get(name) or None for name in fields), sorted(seen.items())]
    return hashlib.sha256(json.dumps(content, default=int).encode()).hexdigest()


SERVED_BY = {
    "projects:delete": "projects",
    "projects:transfer": "people",
    "members:remove": "people",
    "environments:destroy": "environments",
    "environments:force": "environments",
    "environments:update": "environments",
    "deployments:rollback": "environments",
}
"""The function whose route carries out each action that may have to wait."""
