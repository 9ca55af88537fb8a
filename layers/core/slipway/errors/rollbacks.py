"""Refusals of rollbacks, and of what an environment takes after one."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.errors.base import Conflict


class EnvironmentHeld(Conflict):
    """`deployment_id`: the rollback that has set the hold."""

    code = "environment_held"
    title = "The environment was rolled back. A person has to release it before machines deploy."

    def __init__(self, deployment_id: str, reason: str) -> None:
        super().__init__(
            f"The environment was rolled back ({reason}), and takes nothing from tokens and "
            "workloads until a person releases it: DELETE …/hold. A person can deploy to it.",
            deployment_id=deployment_id,
        )


class NothingToRollBackTo(Conflict):
    """`eligible`: the deployments to which the environment can be rolled back, newest first."""

    code = "nothing_to_roll_back_to"
    title = "The environment cannot be rolled back to that. Choose one of the deployments listed."

    def __init__(self, why: str, eligible: Sequence[str]) -> None:
        choice = f"Send `to`, one of: {', '.join(eligible)}" if eligible else "Deploy a version"
        super().__init__(f"{why}. {choice}.", eligible=list(eligible))
