"""CloudFormation in a world's own time, as far as the driver sees of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from slipway.drivers.base import Operation, Progress
from slipway.drivers.cloudformation import CloudFormation
from slipway.drivers.stacks import stack_name
from slipway.errors import DriverFault, DriverRefused
from tests.support.workflows.emulator import Emulator

SECONDS = 0.7
HOUR = 3600
STUCK = "stuck"
UNROLLABLE = "unrollable"
ENDS = {
    "CREATE": "CREATE_COMPLETE",
    "UPDATE": "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK": "UPDATE_ROLLBACK_COMPLETE",
    "DELETE": "DELETE_COMPLETE",
}


@dataclass
class Stack:
    """`made_of`: its parameters, and its template as `TemplateURL`."""

    name: str
    made_of: dict[str, str]
    id: str
    status: str = ""
    ends_at: float = 0
    token: str = ""
    before: dict[str, str] = field(default_factory=dict)
    retain: tuple[str, ...] = ()
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def version(self) -> str:
        return self.made_of["Version"]


class Stacks:
    """Every stack that there is; `begun` has each operation, by its token; `secrets`
    what the parameter store has; `roles` IAM's, by name: when each was made, its tags, and whether
    it has its policy.

    An update to the version UNROLLABLE fails, and so does its rollback, the first time. One with
    the version STUCK in it has a bucket, Data, that cannot be deleted: `kept` has the
    names of those stacks that went without.
    """

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.stacks: dict[str, Stack] = {}
        self.deleted: dict[str, Stack] = {}
        self.begun: list[str] = []
        self.kept: set[str] = set()
        self.secrets: dict[str, str] = {}
        self.roles: dict[str, dict[str, Any]] = {}

    def call(self, service: str, method: str, **request: Any) -> Any:
        """In the place of the driver's seam to the client library."""
        perform: Callable[[], Any] = lambda: getattr(self, method)(**request)  # noqa: E731
        return self.emulator.call(
            f"{service} {method}", perform, lambda trouble: DriverFault(trouble)
        )

    def find(self, name: str) -> Stack | None:
        """As it is by now."""
        stack = self.stacks.get(name)
        if stack and stack.status.endswith("IN_PROGRESS") and self._now >= stack.ends_at:
            self._turns(stack, self.ends(stack), stack.ends_at)
            if stack.status == "UPDATE_ROLLBACK_COMPLETE":
                stack.made_of = stack.before
            if stack.status == "DELETE_COMPLETE":
                self.kept |= {name} if stack.retain else set()
                self.deleted[stack.id] = self.stacks.pop(name)
                return None
        return stack

    def version_in(self, environment: str) -> str | None:
        stack = self.find(stack_name(environment))
        return stack.version if stack and stack.version != "none" else None

    @property
    def _now(self) -> float:
        return self.emulator.schedule.now

    def lasts(self, status: str) -> float:
        """The seconds that an operation takes, by its state."""
        return SECONDS

    def ends(self, stack: Stack) -> str:
        """The state that what is in progress ends in."""
        return _ends(stack)

    def _turns(self, stack: Stack, status: str, at: float | None = None) -> None:
        stack.status = status
        stack.events.append(
            {
                "StackId": stack.id,
                "PhysicalResourceId": stack.id,
                "LogicalResourceId": stack.name,
                "ResourceType": "AWS::CloudFormation::Stack",
                "ResourceStatus": status,
                "Timestamp": datetime.fromtimestamp(self._now if at is None else at, UTC),
                "ClientRequestToken": stack.token,
            }
        )

    def _begins(self, stack: Stack, status: str, token: str) -> None:
        stack.token, stack.ends_at = token, self._now + self.lasts(status)
        self.begun.append(token)
        self._turns(stack, status)

    def _known(self, name: str) -> Stack:
        stack = self.find(name)
        if stack is None:
            raise DriverRefused(f"ValidationError: Stack with id {name} does not exist")
        return stack

    def describe_stacks(self, StackName: str) -> Any:
        stack = self._known(StackName)
        return {"Stacks": [{"StackId": stack.id, "StackStatus": stack.status, "Outputs": []}]}

    def describe_stack_events(self, StackName: str) -> Any:
        """By its id also of one that was deleted."""
        name, _, number = StackName.partition("/")
        stack = self.find(name)
        if number and (stack is None or stack.id != StackName):
            stack = self.deleted[StackName]
        return {"StackEvents": (stack or self._known(name)).events[::-1]}

    def create_stack(
        self, StackName: str, ClientRequestToken: str, Parameters: Any, **request: Any
    ) -> None:
        if self.find(StackName):
            raise DriverRefused("AlreadyExistsException: it exists")
        self._assume(request["RoleARN"])
        made_of = _made_of(request, Parameters, {})
        stack = Stack(StackName, made_of, f"{StackName}/{len(self.begun)}")
        self.stacks[StackName] = stack
        self._begins(stack, "CREATE_IN_PROGRESS", ClientRequestToken)

    def update_stack(
        self, StackName: str, ClientRequestToken: str, Parameters: Any, **request: Any
    ) -> None:
        stack = self._known(StackName)
        if stack.status.endswith("IN_PROGRESS"):
            raise DriverRefused(f"ValidationError: it is {stack.status}")
        if ClientRequestToken in self.begun:
            raise DriverRefused("TokenAlreadyExistsException: it was begun")
        made_of = _made_of(request, Parameters, stack.made_of)
        if stack.status == "UPDATE_ROLLBACK_FAILED":
            raise DriverRefused(f"ValidationError: it is {stack.status} and can not be updated")
        if made_of == stack.made_of:
            raise DriverRefused("ValidationError: No updates are to be performed.")
        stack.before, stack.made_of = stack.made_of, made_of
        self._begins(stack, "UPDATE_IN_PROGRESS", ClientRequestToken)
        if stack.version == "endless":
            stack.ends_at += 10 * HOUR

    def cancel_update_stack(self, StackName: str, ClientRequestToken: str) -> None:
        stack = self._known(StackName)
        if stack.status != "UPDATE_IN_PROGRESS":
            raise DriverRefused("ValidationError: there is no update to cancel")
        self._begins(stack, "UPDATE_ROLLBACK_IN_PROGRESS", ClientRequestToken)

    def continue_update_rollback(
        self, StackName: str, ClientRequestToken: str, RoleARN: str
    ) -> None:
        stack = self._known(StackName)
        if ClientRequestToken in self.begun:
            raise DriverRefused("TokenAlreadyExistsException: it was begun")
        if stack.status != "UPDATE_ROLLBACK_FAILED":
            raise DriverRefused(f"ValidationError: it is {stack.status}")
        self._begins(stack, "UPDATE_ROLLBACK_IN_PROGRESS", ClientRequestToken)

    def delete_by_hand(self, StackName: str) -> None:
        stack = self.find(StackName)
        if stack and not stack.status.endswith("IN_PROGRESS"):
            self._turns(stack, "DELETE_COMPLETE")
            self.deleted[stack.id] = self.stacks.pop(StackName)

    def list_stack_resources(self, StackName: str) -> Any:
        data = {"LogicalResourceId": "Data", "ResourceType": "AWS::S3::Bucket"}
        left = {**data, "PhysicalResourceId": "data-1", "ResourceStatus": "DELETE_FAILED"}
        return {"StackResourceSummaries": [left] if self._known(StackName).version == STUCK else []}

    def delete_stack(
        self, StackName: str, ClientRequestToken: str, RetainResources: Any = (), **request: Any
    ) -> None:
        stack = self.find(StackName)
        if stack and RetainResources and stack.status != "DELETE_FAILED":
            raise DriverRefused("ValidationError: it is not DELETE_FAILED")
        if stack and stack.status == "DELETE_IN_PROGRESS":
            return
        if stack and stack.status.startswith("UPDATE") and stack.status.endswith("IN_PROGRESS"):
            said = f"Stack [{stack.id}] cannot be deleted while in status {stack.status}"
            raise DriverRefused(f"ValidationError: {said}")
        if stack:
            self._assume(request["RoleARN"])
            stack.retain = tuple(RetainResources)
            self._begins(stack, "DELETE_IN_PROGRESS", ClientRequestToken)

    # ── IAM ─────────────────────────────────────────────────────────────────────────────────

    def _assume(self, role: str) -> None:
        """As CloudFormation, which a role without its policy is of no use to."""
        if not self.roles.get(role, {}).get("attached"):
            raise DriverRefused(f"ValidationError: Role {role} is invalid or cannot be assumed")

    def _role(self, name: str) -> dict[str, Any]:
        if name not in self.roles:
            raise DriverRefused("NoSuchEntity: The role cannot be found")
        return self.roles[name]

    def create_role(self, RoleName: str, Tags: Any, **request: Any) -> None:
        if RoleName in self.roles:
            raise DriverRefused("EntityAlreadyExists: The role already exists")
        at = datetime.fromtimestamp(self._now, UTC)
        self.roles[RoleName] = {"CreateDate": at, "Tags": Tags, "attached": False}

    def get_role(self, RoleName: str) -> Any:
        return {"Role": self._role(RoleName)}

    def attach_role_policy(self, RoleName: str, PolicyArn: str) -> None:
        self._role(RoleName)["attached"] = True

    def detach_role_policy(self, RoleName: str, PolicyArn: str) -> None:
        if not self._role(RoleName)["attached"]:
            raise DriverRefused("NoSuchEntity: The policy was not found")
        self._role(RoleName)["attached"] = False

    def delete_role(self, RoleName: str) -> None:
        if self._role(RoleName)["attached"]:
            raise DriverRefused("DeleteConflict: Cannot delete entity, must detach all policies")
        del self.roles[RoleName]

    # ── The parameter store ─────────────────────────────────────────────────────────────────

    def put_parameter(self, Name: str, Value: str, **request: Any) -> None:
        self.secrets[Name] = Value

    def get_parameters(self, Names: list[str], WithDecryption: bool) -> Any:
        found = [{"Name": n, "Value": self.secrets[n]} for n in Names if n in self.secrets]
        missing = [name for name in Names if name not in self.secrets]
        return {"Parameters": found, "InvalidParameters": missing}

    def get_parameters_by_path(self, Path: str, Recursive: bool) -> Any:
        below = [name for name in self.secrets if name.startswith(Path)]
        return {"Parameters": [{"Name": name} for name in below]}

    def delete_parameters(self, Names: list[str]) -> None:
        for name in Names:
            self.secrets.pop(name, None)


def _ends(stack: Stack) -> str:
    broken = "broken" in stack.made_of.values()
    if (stack.status, stack.version) == ("UPDATE_IN_PROGRESS", UNROLLABLE):
        return "UPDATE_ROLLBACK_FAILED"
    if (stack.status, stack.version, stack.retain) == ("DELETE_IN_PROGRESS", STUCK, ()):
        return "DELETE_FAILED"
    if stack.status == "CREATE_IN_PROGRESS" and broken:
        return "ROLLBACK_COMPLETE"
    if stack.status == "UPDATE_IN_PROGRESS" and broken:
        return "UPDATE_ROLLBACK_COMPLETE"
    return ENDS[stack.status.removesuffix("_IN_PROGRESS")]


def _made_of(request: Any, parameters: Any, before: dict[str, str]) -> dict[str, str]:
    template = request.get("TemplateURL") or before["TemplateURL"]
    values = {each["ParameterKey"]: each.get("ParameterValue") for each in parameters}
    kept = {name: before[name] for name, value in values.items() if value is None}
    return {"TemplateURL": template, **values, **kept}


class OfOneTemplate(CloudFormation):
    """The driver, with environments that were made from a template with a version in it."""

    def provision(self, operation: Operation) -> Progress:
        return super().provision(self._of(operation))

    def ship(self, operation: Operation) -> Progress:
        return super().ship(self._of(operation))

    def restore(self, operation: Operation) -> Progress:
        return super().restore(self._of(operation))

    def _of(self, operation: Operation) -> Operation:
        return operation.model_copy(update={"parameters": ("Version",), "template_key": "key"})
