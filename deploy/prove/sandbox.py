"""The resources that the checks create in an account. All share one name and are deleted again.

    with Sandbox(clients) as sandbox:
        ended = sandbox.run({"Say": {"Type": "Pass", "End": True}})

Each is created on first use. They cost fractions of a cent: a role, a table on demand, a function
of 128 MB, state machines with few transitions, stacks of free resources.
tests/aws uses the same sandbox on the laptop.
"""

from __future__ import annotations

import io
import json
import secrets
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import ClientError

Clients = Callable[[str], Any]

SOURCE = Path(__file__).with_name("function.py")
# A new role is not known everywhere at once.
_NOT_YET = (
    "cannot be assumed",
    "not authorized to perform",
    "AccessDenied",
    "Neither the global service principal",
)


@dataclass(frozen=True)
class Ended:
    """How an execution ended.

    events    the types of the events in its history
    failures  the causes of its tasks' failures
    """

    status: str
    output: Any = None
    error: str | None = None
    cause: str | None = None
    events: Sequence[str] = field(default=())
    failures: Sequence[str] = field(default=())


class TooSlow(Exception):
    """AWS did not reach the expected state in time."""


class Sandbox:
    """Creates resources and deletes them.

    patience  seconds that each resource or execution may take
    poll      seconds between looks
    left      afterwards: what could not be deleted, with the reasons
    """

    def __init__(self, clients: Clients, *, patience: float = 300, poll: float = 1) -> None:
        self.client = clients
        self.name = f"slipway-prove-{secrets.token_hex(4)}"
        self.left: list[str] = []
        self._patience, self._poll = patience, poll
        self._made = ExitStack()
        self._names = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._made.close()

    def next_name(self) -> str:
        self._names += 1
        return f"{self.name}-{self._names}"

    def delete_later(self, what: str, delete: Callable[..., Any], **request: Any) -> None:
        """Delete it at the end, after everything that is created later."""

        def now() -> None:
            try:
                delete(**request)
            except Exception as error:
                self.left.append(f"{what}: {error}")

        self._made.callback(now)

    def until(self, what: str, ask: Callable[[], Any]) -> Any:
        """The first truthy result of `ask`. Raises TooSlow."""
        end = time.monotonic() + self._patience
        while not (found := ask()):
            if time.monotonic() > end:
                raise TooSlow(f"{what}: not within {self._patience:g} s")
            time.sleep(self._poll)
        return found

    # ── Created on first use ───────────────────────────────────────────────────────────

    @cached_property
    def account(self) -> str:
        return str(self.client("sts").get_caller_identity()["Account"])

    @cached_property
    def role(self) -> str:
        """The ARN of a role for the function and the state machines."""
        iam = self.client("iam")
        trust = _policy(
            Action="sts:AssumeRole",
            Principal={"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]},
        )
        arn = iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        self.delete_later(f"role {self.name}", iam.delete_role, RoleName=self.name)
        prefix = arn.split(":")[1]
        # Lambda reads streams and sends failures to a queue with the function's role. ListStreams
        # supports no resource.
        of_streams = ("DescribeStream", "GetRecords", "GetShardIterator")
        permissions = _policies(
            {
                "Action": [
                    *("dynamodb:*Item", "dynamodb:*Items", "lambda:InvokeFunction"),
                    *("sns:Subscribe", "sns:Unsubscribe", "sns:GetSubscriptionAttributes"),
                    *(f"dynamodb:{name}" for name in of_streams),
                    "sqs:SendMessage",
                ],
                "Resource": [
                    f"arn:{prefix}:sns:*:{self.account}:slipway-prove-*",
                    f"arn:{prefix}:dynamodb:*:{self.account}:table/slipway-prove-*",
                    f"arn:{prefix}:lambda:*:{self.account}:function:slipway-prove-*",
                    f"arn:{prefix}:sqs:*:{self.account}:slipway-prove-*",
                ],
            },
            {"Action": "dynamodb:ListStreams", "Resource": "*"},
        )
        where = {"RoleName": self.name, "PolicyName": "prove"}
        iam.put_role_policy(**where, PolicyDocument=permissions)
        self.delete_later(f"policy of {self.name}", iam.delete_role_policy, **where)
        return str(arn)

    @cached_property
    def table(self) -> str:
        """The name of a table with the keys `pk` and `sk`."""
        dynamodb = self.client("dynamodb")
        dynamodb.create_table(
            TableName=self.name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        self.delete_later(f"table {self.name}", dynamodb.delete_table, TableName=self.name)

        def is_there() -> bool:
            table = dynamodb.describe_table(TableName=self.name)["Table"]
            return bool(table["TableStatus"] == "ACTIVE")

        self.until(f"table {self.name}", is_there)
        return self.name

    @cached_property
    def function(self) -> str:
        """The name of a function with the code in function.py."""
        functions = self.client("lambda")
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("app.py", SOURCE.read_text())
        request = {
            "FunctionName": self.name,
            "Role": self.role,
            "Handler": "app.handler",
            "Runtime": f"python3.{sys.version_info.minor}",
            "Code": {"ZipFile": content.getvalue()},
            "MemorySize": 128,
            "Timeout": 3,
        }
        self.patiently(f"function {self.name}", lambda: functions.create_function(**request))
        self.delete_later(
            f"function {self.name}", functions.delete_function, FunctionName=self.name
        )

        def is_there() -> bool:
            found = functions.get_function(FunctionName=self.name)["Configuration"]
            return bool(found.get("State", "Active") == "Active")

        self.until(f"function {self.name}", is_there)
        return self.name

    def patiently(self, what: str, make: Callable[[], Any]) -> Any:
        """The result of `make`, retried until its role is known. Raises ClientError, TooSlow."""

        def ask() -> Any:
            try:
                return make() or True
            except ClientError as error:
                if any(word in str(error) for word in _NOT_YET):
                    return None
                raise

        return self.until(what, ask)

    # ── State machines ──────────────────────────────────────────────────────────────────────

    def machine(self, states: dict[str, Any], **fields: Any) -> str:
        """The ARN of a JSONata state machine that begins with the first of `states`."""
        machines, name = self.client("stepfunctions"), self.next_name()
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states}
        request = {
            "name": name,
            "definition": json.dumps(definition | fields),
            "roleArn": self.role,
        }
        made = self.patiently(name, lambda: machines.create_state_machine(**request))
        arn = str(made["stateMachineArn"])
        self.delete_later(
            f"state machine {name}", machines.delete_state_machine, stateMachineArn=arn
        )
        return arn

    def run(self, states: dict[str, Any], given: Any = None, **fields: Any) -> Ended:
        """Run the states and return how they end. Retries while the role is not known."""
        arn = self.machine(states, **fields)
        end = time.monotonic() + self._patience
        while True:
            ended = self.ended(self.start(arn, given))
            # The error may have been caught.
            told = f"{ended.error} {ended.cause} {ended.output}"
            is_early = "is not authorized to perform" in told or "AccessDenied" in told
            if not is_early or time.monotonic() > end:
                return ended
            time.sleep(self._poll)

    def start(self, machine: str, given: Any = None) -> str:
        """Start an execution and return its ARN."""
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=machine, name=self.next_name(), input=json.dumps(given or {})
        )
        return str(started["executionArn"])

    def ended(self, execution: str) -> Ended:
        """Wait until the execution ends. Raises TooSlow."""
        machines = self.client("stepfunctions")

        def ask() -> dict[str, Any] | None:
            found: dict[str, Any] = machines.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        found = self.until(execution, ask)
        events = machines.get_execution_history(executionArn=execution)["events"]
        output = json.loads(found["output"]) if found.get("output") else None
        types = [event["type"] for event in events]
        error, cause = found.get("error"), found.get("cause")
        return Ended(found["status"], output, error, cause, types, failures(events))

    # ── Stacks ──────────────────────────────────────────────────────────────────────────────

    def stack_status(self, name: str) -> str | None:
        """The stack's status; None if it does not exist."""
        try:
            answer = self.client("cloudformation").describe_stacks(StackName=name)
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return str(answer["Stacks"][0]["StackStatus"])

    def settled(self, name: str) -> str:
        """Wait until the stack changes no more, and return its status. Raises TooSlow."""

        def ask() -> str | None:
            status = self.stack_status(name) or "DELETE_COMPLETE"
            is_busy = status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"
            return None if is_busy else status

        found: str = self.until(f"stack {name}", ask)
        return found

    def delete_stack_later(self, name: str) -> None:
        def delete() -> None:
            self.settled(name)
            self.client("cloudformation").delete_stack(StackName=name)

        self.delete_later(f"stack {name}", delete)


def failures(events: Iterable[dict[str, Any]]) -> list[str]:
    """The causes of the tasks that failed, in order."""
    details = (event.get("taskFailedEventDetails") for event in events)
    return [each.get("cause", "") for each in details if each]


def _policy(**statement: Any) -> str:
    return _policies(statement)


def _policies(*statements: dict[str, Any]) -> str:
    allowed = [{"Effect": "Allow", **statement} for statement in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})
