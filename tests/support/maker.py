"""Environments of any template on a running platform, past the check of templates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from local.platform import REGION, Platform
from slipway.access.principal import Principal
from slipway.aws import dynamodb
from slipway.domain import ids
from slipway.domain.environment_requests import NewEnvironment
from slipway.services import environments
from slipway.settings import settings
from slipway.store import table
from tests.support.http_user import Person
from tests.support.lambda_environment import as_on_lambda


@dataclass
class Maker:
    """A user who creates environments from a template."""

    platform: Platform
    someone: Person
    patch: pytest.MonkeyPatch

    def make(self, body: str, name: str = "preview", **wanted: Any) -> dict[str, Any]:
        """`inputs` and the rest are the environment's."""
        bucket, key = self.platform.outputs["TemplatesBucketName"], f"templates/{ids.new_part()}"
        self.platform.client("s3").put_object(Bucket=bucket, Key=key, Body=body.encode())
        summary = self.platform.client("cloudformation").get_template_summary(TemplateBody=body)
        fields = {
            "driver": "cloudformation",
            "template_key": key,
            "parameters": [each["ParameterKey"] for each in summary["Parameters"]],
            "inputs": json.dumps(wanted.pop("inputs", {})),
        }
        commit = table.Transaction.commit

        def with_template(transaction: table.Transaction) -> None:
            record = transaction.parts["record"]
            assert isinstance(record, table.Put)
            item = {**record.item, **fields}
            transaction.parts["record"] = record._replace(item=item)
            commit(transaction)

        me = Principal(self.someone.ask("GET", "/api/v1/auth/me").body["id"], "environments:create")
        project = ids.parse_project(self.someone.project(ids.new_part()))
        with self.patch.context() as patch:
            patch.setattr(table.Transaction, "commit", with_template)
            new = NewEnvironment.model_validate({"name": name, "type": "persistent", **wanted})
            made = environments.create(project, new, me)
        return made.model_dump()

    def running(self, body: str, **wanted: Any) -> dict[str, Any]:
        return self.someone.wait_for(self.make(body, **wanted)["id"], "running")

    def ships(self, environment: str, version: str, ends: str, **more: Any) -> dict[str, Any]:
        """A deployment, and how it ended."""
        path = f"/api/v1/deployments/environments/{environment}"
        made = self.someone.ask("POST", path, {"version": version, **more})
        assert made.status == 201, made.raw
        return self.someone.wait_for(made.body["id"], ends)


@contextmanager
def making(platform: Platform, someone: Person) -> Iterator[Maker]:
    """The services of this process work on the platform's table."""
    with as_on_lambda(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", platform.endpoint)
        patch.setenv("AWS_REGION", REGION)
        for name, value in platform.owner.variables().items():
            patch.setenv(name, value)
        patch.setattr("boto3.DEFAULT_SESSION", None)  # it keeps the first key that it has found
        patch.setenv("TABLE", platform.outputs["TableName"])
        settings.cache_clear()
        dynamodb.wire.cache_clear()
        yield Maker(platform, someone, patch)
        # The next test in this process would find the store's connections unclosed.
        dynamodb.wire().close()
        dynamodb.wire.cache_clear()
