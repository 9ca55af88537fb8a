"""Rollbacks: back to the state of an environment with an earlier deployment.

    POST …/rollback ─► a deployment with that version, template, inputs and configuration
                       └─► a hold: machines do not deploy until a person releases it

Which deployment that is, by the last ones that were live (`LiveRecord`s, newest first):

    something rolls out, or what is live is in doubt   the live one: the rollout is stopped
    otherwise                                          the one that was live before what is live

A rollback has the state of an earlier deployment. So what was live before it is what was live
before that one, and a second rollback goes further back, never forth to what the first one left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from slipway.domain.fields import Line, RequestModel, ResponseModel
from slipway.domain.update import ChangeSet, InputChange
from slipway.domain.warning import TemplateWarning

if TYPE_CHECKING:
    from slipway.domain.records import LiveRecord


class NewRollback(RequestModel):
    reason: Line = Field(
        description="Why, for those who find the environment held.",
        examples=["checkout answers 500"],
    )
    to: Line | None = Field(
        None,
        description="A deployment of the environment, one of the last ten that were live. The one "
        "that was live before what is live now if omitted.",
        examples=["dep_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq_01kaq3k2p9h4s7e1g8ya"],
    )


class TextChange(ResponseModel):
    """A value before and after. `null` is none."""

    before: str | None = Field(None, description="What it is now.", examples=["sha-7654321"])
    after: str | None = Field(None, description="What it would be.", examples=["sha-1234567"])


class RollbackPlan(ResponseModel):
    """What a rollback would change. Nothing was changed."""

    environment_id: str = Field(examples=["env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq"])
    rolls_back_to: str = Field(
        description="The deployment whose state would be live again.",
        examples=["dep_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq_01kaq3k2p9h4s7e1g8ya"],
    )
    stops: str | None = Field(None, description="The deployment that would be asked to stop.")
    version: TextChange = Field(description="What is live, and what would be.")
    artifact: TextChange
    template: TextChange | None = Field(
        None,
        description="The template version; null if the environment is no stack.",
        examples=[{"before": "web@1.3", "after": "web@1.2"}],
    )
    inputs: dict[str, InputChange] = Field(
        description="The inputs that would change. Secrets are `****`.",
        examples=[{"Size": {"before": "large", "after": "small"}}],
    )
    variables: dict[str, str] = Field(
        description="The names of the variables and secrets that would be `added`, `removed` or "
        "`changed`, against what is configured now.",
        examples=[{"LOG_LEVEL": "changed"}],
    )
    warnings: list[TemplateWarning] = Field(
        [], description="The warnings of the template's version after the rollback."
    )
    change_set: ChangeSet | None = Field(
        None,
        description="What CloudFormation would do. Missing if the environment is no stack.",
        examples=[{"status": "pending"}],
    )


def target(history: Sequence[LiveRecord], *, stays_live: bool) -> str | None:
    """The deployment to go back to, by its id; None if there is none.

    `stays_live`: something rolls out or is in doubt, so that the live one is what to go back to.
    """
    if not history:
        return None
    live = history[0]
    if stays_live:
        return live["id"]
    state = live.get("same_as", live["id"])
    known = [each["id"] for each in history]
    # A rollback to one that is no longer among the last ones leads to none.
    before = history[known.index(state) + 1 :] if state in known else []
    return before[0]["id"] if before else None


def eligible(history: Sequence[LiveRecord]) -> list[str]:
    """The deployments that can be rolled back to: all but those with the state that is live."""
    state = history[0].get("same_as", history[0]["id"]) if history else None
    return [each["id"] for each in history if each.get("same_as", each["id"]) != state]
