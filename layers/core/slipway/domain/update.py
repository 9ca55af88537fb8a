"""Updates: another template version or other inputs for an environment.

An update is merged into the environment's state when its turn comes, so updates that wait behind
each other add up.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from slipway.domain.fields import Line, QueryModel, RequestModel, ResponseModel
from slipway.domain.warning import TemplateWarning


class EnvironmentUpdate(RequestModel):
    template: Line | None = Field(
        None,
        description="Another version of its template: `name@1.2`, `name@1` for the newest minor "
        "version, or `name` for the newest version. Unchanged if omitted.",
        examples=["web-service@1.3"],
    )
    inputs: dict[str, JsonValue] | None = Field(
        None,
        description="The inputs to change. `null` resets an input to the template's default. "
        "Omitted inputs keep their values.",
        examples=[{"Size": "large"}],
    )
    on_conflict: Literal["queue", "reject"] | None = Field(
        None,
        description="What to do if a deployment is running or waiting: wait behind it (`queue`), "
        "or refuse this update (`reject`). The environment's default if omitted.",
        examples=["queue"],
    )

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.template is None and self.inputs is None:
            raise ValueError("must have template, inputs or both")
        return self


class UpdateMode(QueryModel):
    dry_run: bool = Field(
        False, strict=False, description="Answer 200 with what would change, and change nothing."
    )

    @property
    def is_dry_run(self) -> bool:
        return self.dry_run


class InputChange(ResponseModel):
    """One input before and after. `null` is the template's default, or no such input."""

    before: str | None = Field(None, examples=["small"])
    after: str | None = Field(None, examples=["large"])


class ResourceChange(ResponseModel):
    """What CloudFormation would do to one resource."""

    action: Literal["add", "modify", "remove", "import", "dynamic"] = Field(
        description="`dynamic`: CloudFormation decides only during the update."
    )
    logical_id: str = Field(examples=["Jobs"])
    type: str = Field(examples=["AWS::SQS::Queue"])
    physical_id: str | None = None
    replacement: Literal["never", "conditional", "always"] | None = Field(
        None, description="Whether a modified resource is replaced."
    )
    scope: list[str] = Field(examples=[["Properties"]])
    properties: list[str] = Field(
        description="The properties that change.", examples=[["VisibilityTimeout"]]
    )


class ChangeSet(ResponseModel):
    """CloudFormation's list of changes. While `pending`, send the same request again."""

    status: Literal["pending", "ready", "failed"]
    reason: str | None = Field(None, description="Why it is pending or failed.")
    changes: list[ResourceChange] | None = Field(
        None, description="Missing until it is ready. Empty if nothing would change."
    )


class UpdatePlan(ResponseModel):
    """What an update would change. Nothing was changed."""

    environment_id: str = Field(examples=["env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"])
    from_template: str = Field(examples=["web-service@1.2"])
    to_template: str = Field(examples=["web-service@1.3"])
    inputs: dict[str, InputChange] = Field(
        description="The inputs that would change. Secrets are `****`.",
        examples=[{"Size": {"before": "small", "after": "large"}}],
    )
    warnings: list[TemplateWarning] = Field(
        [], description="The warnings of the template's version after the update."
    )
    change_set: ChangeSet = Field(examples=[{"status": "pending"}])
