"""The contract of a driver."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from slipway.domain.deployment import LogLine
from slipway.domain.timestamps import Moment

# The time of one attempt to retire. A network interface keeps a stack for up to 45 minutes, and
# CloudFormation waits an hour for a custom resource that does not answer.
RETIRES_WITHIN = timedelta(minutes=90)


class Progress(BaseModel):
    """The progress of an operation.

    While it is not `done`, ask again after `wait_seconds` (whole seconds, as a Wait state takes
    them). Once it is done, `base_url` is the environment's address and `outputs` its outputs, if it
    has them. `stack_id` identifies its stack, even after another stack has the same name. `note` is
    a line for the environment's log.
    """

    model_config = ConfigDict(frozen=True)

    done: bool
    wait_seconds: Annotated[int, Field(ge=0)] = 0
    base_url: str | None = None
    outputs: dict[str, str] | None = None
    stack_id: str | None = None
    note: str | None = None


class Operation(BaseModel):
    """One operation; the same in every call for it.

    `execution` and `started_at`, the time at which the workflow began it, identify the operation. A
    driver passes them on as the request token, so that a repeated call starts nothing twice.
    `resource`: the resource to provision or retire. `version` and `artifact`: what should be live.
    `config`: the environment's configuration.

    For an environment with a template: the key of the template's body, the names of its parameters,
    which of those that a deployment sets have `defaults`, the inputs, and the places of the
    secrets. `configuration` is the number of the configuration's version, 0 for none, and
    `variables` are the values of its variables that are also parameters of the template.
    `full_update`: update everything, not only the version. `retain`: the logical ids of resources
    to leave in place, which could not be deleted. `stack_id`: as the driver reported it.
    """

    model_config = ConfigDict(frozen=True)

    execution: str
    environment_id: str
    environment_name: str
    project_name: str = ""
    owner: str = ""
    expires_at: Moment | None = None
    started_at: Moment
    now: datetime
    resource: str | None = None
    version: str | None = None
    artifact: str | None = None
    config: dict[str, Any] = {}
    template_key: str = ""
    parameters: tuple[str, ...] = ()
    defaults: tuple[str, ...] = ()
    inputs: dict[str, Any] = {}
    secrets: dict[str, str] = {}
    configuration: int = 0
    variables: dict[str, str] = {}
    full_update: bool = False
    retain: tuple[str, ...] = ()
    stack_id: str | None = None


class Driver(Protocol):
    """The contract: each call starts its operation if it was not started, and returns its progress.

    A driver never waits; the workflow does. It can be called any number of times, concurrently, and
    after the operation is done. It raises only DriverRefused (it will never work) and DriverFault
    (it may work later). StackGone, from ship and restore, means that the stack was deleted by hand;
    the environment is then ended.

    `resources` are the parts of an environment, in the order in which they are provisioned. Each is
    retired separately, even if it was never begun or no longer exists
    (slipway.services.provisioning).
    """

    resources: tuple[str, ...]

    def provision(self, operation: Operation) -> Progress: ...

    def ship(self, operation: Operation) -> Progress:
        """Raises RolledBack if it failed and the previous version is live again."""
        ...

    def restore(self, operation: Operation) -> Progress:
        """Restore `version`, which was live before the rollout, or nothing if it is None."""
        ...

    def retire(self, operation: Operation) -> Progress: ...

    def lines(self, operation: Operation) -> list[LogLine]:
        """The log lines of this operation so far, oldest first."""
        ...
