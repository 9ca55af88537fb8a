"""Updates: another version of its template for an environment, or other inputs.

What an update changes is merged into what the environment has when its turn comes, so those that
wait behind each other add up.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from slipway.domain.fields import Asked, Line, Shown, Wanted


class EnvironmentUpdate(Wanted):
    template: Line | None = Field(
        None,
        description="Another version of its template: `name@1.2`, `name@1` for the newest minor, "
        "or `name` for the newest version. The one it has if left out.",
        examples=["web-service@1.3"],
    )
    inputs: dict[str, JsonValue] | None = Field(
        None,
        description="What is to change in the template's parameters; null for the template's own "
        "default. What is left out stays as it is.",
        examples=[{"Size": "large"}],
    )
    on_conflict: Literal["queue", "reject"] | None = Field(
        None,
        description="If a deployment runs or waits: wait behind it (`queue`), or do not accept "
        "this update (`reject`). As the environment's own says if left out.",
        examples=["queue"],
    )

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.template is None and self.inputs is None:
            raise ValueError("must have template, inputs or both")
        return self


class UpdateMode(Asked):
    dry_run: bool = Field(
        False, strict=False, description="Answer with what would change and change nothing: 200."
    )

    @property
    def only_looks(self) -> bool:
        return self.dry_run


class InputChange(Shown):
    """One input before and after; null is the template's default, or that it has no such input."""

    before: str | None = Field(None, examples=["small"])
    after: str | None = Field(None, examples=["large"])


class ResourceChange(Shown):
    """What CloudFormation would do with one resource."""

    action: Literal["add", "modify", "remove", "import", "dynamic"] = Field(
        description="`dynamic`: CloudFormation can only tell while it does it."
    )
    logical_id: str = Field(examples=["Jobs"])
    type: str = Field(examples=["AWS::SQS::Queue"])
    physical_id: str | None = None
    replacement: Literal["never", "conditional", "always"] | None = Field(
        None, description="Whether a resource that is modified is made anew."
    )
    scope: list[str] = Field(examples=[["Properties"]])
    properties: list[str] = Field(
        description="The properties that change.", examples=[["VisibilityTimeout"]]
    )


class ChangeSet(Shown):
    """What CloudFormation makes of it. `pending`: send the same request again."""

    status: Literal["pending", "ready", "failed"]
    reason: str | None = Field(None, description="Why it is pending, or failed.")
    changes: list[ResourceChange] | None = Field(
        None, description="Once it is ready; none if nothing would change."
    )


class UpdatePlan(Shown):
    """What an update would change; nothing was."""

    environment_id: str = Field(examples=["env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"])
    from_template: str = Field(examples=["web-service@1.2"])
    to_template: str = Field(examples=["web-service@1.3"])
    inputs: dict[str, InputChange] = Field(
        description="Those that would change; secrets as `****`.",
        examples=[{"Size": {"before": "small", "after": "large"}}],
    )
    change_set: ChangeSet = Field(examples=[{"status": "pending"}])
