"""The contract of a driver."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from slipway.domain.deployment import LogLine
from slipway.domain.timestamps import Moment


class Progress(BaseModel):
    """How far an operation is.

    Not `done`: ask again after `wait_seconds` (a whole number of seconds, as a Wait state
    takes them). Once it is done, where there are such: `base_url`, where the environment answers,
    and `outputs`, what else there is to know of it. `stack_id`: what tells its stack apart from any
    other of that name, also when it is gone.
    """

    model_config = ConfigDict(frozen=True)

    done: bool
    wait_seconds: Annotated[int, Field(ge=0)] = 0
    base_url: str | None = None
    outputs: dict[str, str] | None = None
    stack_id: str | None = None


class Operation(BaseModel):
    """What a driver is asked about, the same at every call for one operation.

    `execution` and `started_at`, when the workflow began with it, name the operation: a driver
    that starts something passes them on as the request token, so that a repeated call starts
    nothing twice. `resource`: which of the driver's is to be provisioned or retired. `version`
    and `artifact`: what is to be live. `config`: the environment's own.

    Of an environment that is made from a template: where the template is, the names of the
    parameters it declares, which of those that a deployment brings have `defaults` in it, what the
    caller put in, and where the values are of what is secret.
    `anew`: the environment is to be made of just these, not only to have the version. `retain`:
    the logical ids of what is left in place when it goes, though it could not be deleted.
    `stack_id`: as the driver told, if it did.
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
    anew: bool = False
    retain: tuple[str, ...] = ()
    stack_id: str | None = None


class Driver(Protocol):
    """Each call starts its operation if it was not started, and says how far it is.

    A driver never waits: the workflow does. It may be called any number of times, by two at
    once, and again after it was done. It raises only DriverRefused (it will never work) and
    DriverFault (perhaps another time). StackGone, of ship and restore, says that somebody else has
    taken away what there was: the environment is then brought to its end.

    `resources` are what an environment is made of, in the order in which they are provisioned;
    each is retired by itself, also one that was never begun or is gone
    (slipway.services.provisioning).
    """

    resources: tuple[str, ...]

    def provision(self, operation: Operation) -> Progress: ...

    def ship(self, operation: Operation) -> Progress:
        """Raises RolledBack if it failed and what was live is live again."""
        ...

    def restore(self, operation: Operation) -> Progress:
        """Bring back what was live before a rollout: `version`, or nothing if that is None."""
        ...

    def retire(self, operation: Operation) -> Progress: ...

    def lines(self, operation: Operation) -> list[LogLine]:
        """What the infrastructure has said in this operation so far, oldest first."""
        ...
