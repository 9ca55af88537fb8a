"""Slipway without a network: the real store, step functions, dispatch and state machines.

    with World() as world:
        environment = world.environment(ttl_hours=1)
        world.settle()
        assert world.look(environment)["status"] == "running"

Time is the schedule's and costs nothing; every call to the outside is in `world.calls`, and can be
made to fail there.
"""

from __future__ import annotations

import json
import os
import random
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import cache
from typing import Any
from unittest import mock

from local.patches.stream_batches import Batch, after_failure, first_failed
from local.patches.table_ttl import IDENTITY
from slipway import drivers
from slipway.access.principal import Principal
from slipway.aws import event_rule
from slipway.domain import failure, ids
from slipway.domain.deployment import LogLine, NewDeployment
from slipway.domain.environment import Environment, OnConflict
from slipway.domain.environment_requests import NewEnvironment, TeardownRetry
from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.domain.paging import Paging
from slipway.domain.project import NewProject, Policy
from slipway.drivers.base import Operation, Progress
from slipway.drivers.simulated import Simulated
from slipway.errors import DriverFault
from slipway.services import (
    environments,
    history,
    leases,
    projects,
    reconcile_schedule,
    rollout_queue,
    teardowns,
)
from slipway.settings import settings
from slipway.store import (
    actions,
    deployment_records,
    environment_records,
    project_records,
    queue_records,
    quota_records,
    table,
    wire,
)
from tests.support.lambda_environment import ACCOUNT, MACHINES, REGION
from tests.support.moto_backend import create_table
from tests.support.repository import ROOT, camel, load_function, resources
from tests.support.workflows import graph
from tests.support.workflows.emulator import (
    Emulator,
    acting,
    dynamodb,
    eventbridge,
    invoke,
    lambda_svc,
    stepfunctions,
    task_error,
)
from tests.support.workflows.faults import Calls, Died, Fault, Trouble
from tests.support.workflows.schedule import EPOCH, Schedule

Record = dict[str, Any]

USER = "usr_0123456789abcdefghjk"
OWNER = Principal(USER, "environments:create")
# Longer than any Retry waits, shorter than any lease that a test does not mean to end.
PATIENCE = 300.0

# How often reconcile looks.
SCHEDULE = 300.0

DISPATCH = "functions/events/dispatch"
RECONCILE = "functions/events/reconcile"


class World:
    """It begins asleep: nothing has a deadline, and the rule that runs reconcile is off.

    `batches` has each event that dispatch was given, `dead_letters` the records given up,
    `infrastructure` what is provisioned of each environment. With `slow_to_go` it takes time to
    take an environment away, half of what it takes to make it; by itself the driver takes none."""

    def __init__(self, simulated_seconds: float = 2, *, slow_to_go: bool = True) -> None:
        self.schedule = Schedule()
        self.calls = Calls()
        self.emulator = Emulator(self.schedule, self.calls)
        self.batches: list[Record] = []
        self.dead_letters: list[Record] = []
        self.infrastructure = Infrastructure()
        self._environ = {
            "SIMULATED_SECONDS": f"{simulated_seconds}",
            "POWERTOOLS_METRICS_NAMESPACE": "Slipway",
        }
        self._driver_script: Record = (
            {"retire": {"seconds": simulated_seconds / 2}} if slow_to_go else {}
        )
        self._waiting_batches: deque[Batch] = deque()
        self._stream_position = 0
        self._is_delivering = False
        self._stream_is_held = False
        self._project: ProjectId | None = None

    def __enter__(self) -> World:
        self._replacements: list[Any] = [
            mock.patch.dict(os.environ, self._environ),
            # The same scenario takes the same slots of quotas.
            mock.patch.object(quota_records, "random", random.Random(0)),
            mock.patch.dict(
                drivers.DRIVERS,
                {"simulated": lambda: _RecordedDriver(self.emulator, self.infrastructure)},
            ),
        ]
        for each in self._replacements:
            each.start()
        settings.cache_clear()
        reconcile_schedule.forget()
        self.emulator.__enter__()
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        self.calls.made.clear()
        self.schedule.now = EPOCH
        return self

    def _build(self) -> None:
        """Create the resources that the template describes."""
        create_table()
        # TTL is swept when the test says so.
        dynamodb._ttl_settings.clear()
        for arn, (name, folder) in _step_functions().items():
            self.emulator.functions[arn] = (name, _handler_in(folder))
        for workflow, definition in _machine_definitions().items():
            create_machine(f"slipway-{workflow}", definition)
        rule = {"Name": event_rule.rule(), "ScheduleExpression": "rate(5 minutes)"}
        eventbridge._ensure_default_bus()
        _checked_answer(eventbridge._put_rule({**rule, "State": "DISABLED"}))
        asleep = {**reconcile_schedule.KEY.wire(), "off_at": {"S": "2026-11-22T09:00:00.000Z"}}
        _checked_answer(dynamodb._put_item({"TableName": "slipway", "Item": asleep}))
        # The stream's reader does not receive these writes.
        self._stream_position = len(self.stream)

    def __exit__(self, *_: object) -> None:
        self.emulator.__exit__()
        for each in self._replacements:
            each.stop()
        settings.cache_clear()

    # ── What users do ───────────────────────────────────────────────────────────────────────

    @property
    def project(self) -> ProjectId:
        """The project that everything is in, unless the test says otherwise."""
        if self._project is None:
            self._project = self.new_project("payments")
        return self._project

    def use(self, project: ProjectId) -> None:
        """Everything is in this one from now on."""
        self._project = project

    def new_project(self, name: str, **policy: Any) -> ProjectId:
        """A project; with its policy, if that says anything."""
        wanted = NewProject(name=name, policy=Policy(**policy) if policy else None)
        return ids.parse_project(projects.create(wanted, OWNER).id)

    def environment(
        self,
        ttl_hours: float | None = None,
        name: str = "preview",
        project: ProjectId | None = None,
        on_conflict: OnConflict = "queue",
        simulate: Record | None = None,
    ) -> EnvironmentId:
        """A persistent environment, or an ephemeral one with its time to live; `simulate`: what
        goes wrong in it, as the simulated driver knows it."""
        kind: Any = "persistent" if ttl_hours is None else "ephemeral"
        script = {**self._driver_script, **(simulate or {})}
        wanted = NewEnvironment(
            name=name,
            type=kind,
            ttl_hours=ttl_hours,
            on_conflict=on_conflict,
            config={"simulate": script} if script else None,
        )
        added = environments.create(project or self.project, wanted, OWNER)
        return ids.parse_environment(added.id)

    def running(
        self,
        ttl_hours: float | None = None,
        name: str = "preview",
        project: ProjectId | None = None,
    ) -> EnvironmentId:
        """An environment that runs already."""
        environment = self.environment(ttl_hours, name, project)
        self.run(30)
        assert self.look(environment)["status"] == "running"
        return environment

    def deploy(
        self, environment: EnvironmentId, version: str = "v1", **steering: Any
    ) -> DeploymentId:
        """`steering`: on_conflict, sequence, committed_at, allow_outdated."""
        added = rollout_queue.enqueue(
            environment, NewDeployment(version=version, **steering), OWNER
        )
        return ids.parse_deployment(added.id)

    def cancel(self, deployment: DeploymentId) -> str:
        """The status that the user is shown."""
        return rollout_queue.cancel(deployment, OWNER).status

    def delete(self, environment: EnvironmentId) -> str:
        """The status that the user is shown."""
        return teardowns.begin(environment, OWNER, None).status

    def retry(self, environment: EnvironmentId, *retain: str) -> str:
        wanted = TeardownRetry(retain=list(retain))
        return teardowns.request_retry(environment, OWNER, wanted).status

    def forget(self, environment: EnvironmentId) -> str:
        return teardowns.forget(environment, OWNER, None).status

    def extend(self, environment: EnvironmentId, hours: float) -> Environment:
        return leases.extend(environment, hours, OWNER)

    def touch(self, environment: EnvironmentId) -> Environment:
        return leases.touch(environment, OWNER)

    def pin(self, environment: EnvironmentId) -> Environment:
        return leases.pin(environment, "a demo", OWNER)

    def unpin(self, environment: EnvironmentId) -> Environment:
        return leases.unpin(environment, OWNER)

    def logs(self, deployment: DeploymentId) -> list[tuple[str, str]]:
        """`(step, message)` of each line, oldest first."""
        lines = history.deployment_logs(deployment, OWNER, Paging(limit=100))
        return [(line.step, line.message) for line in lines]

    # ── What time does ──────────────────────────────────────────────────────────────────────

    def settle(self) -> None:
        """Go on until nothing more happens within PATIENCE seconds."""
        while self._advance(self.schedule.now + PATIENCE):
            pass

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        until = self.schedule.now + seconds
        while self._advance(until):
            pass
        self.schedule.now = max(self.schedule.now, until)

    def run_until(self, reached: Callable[[], bool], within: float = PATIENCE) -> None:
        """Stop at the first moment when it is so."""
        until = self.schedule.now + within
        while not reached():
            assert self._advance(until), "it did not come to that"

    def _advance(self, until: float) -> bool:
        if (
            not self._stream_is_held
            and not self._is_delivering
            and (self._waiting_batches or self._unread())
        ):
            self._is_delivering = True
            self.schedule.start("stream", self._deliver)
        due = self.schedule.next_due()
        if due is None or due > until:
            return False
        self.schedule.step()
        return True

    def sweep_ttl(self) -> int:
        """Delete the items that are over, as DynamoDB does sooner or later; how many."""
        over = [
            item
            for item in self.items("")
            if "ttl" in item and float(item["ttl"]["N"]) <= self.schedule.now
        ]
        for item in over:
            dynamodb._delete_item(
                {"TableName": "slipway", "Key": {name: item[name] for name in ("pk", "sk")}}
            )
            dynamodb._stream_records["slipway"][-1]["userIdentity"] = IDENTITY
        return len(over)

    def reconcile(self, ahead_minutes: float = 0) -> dict[str, int]:
        """`{looked_at, repaired, failed}`, as the schedule would be told."""
        with acting("reconcile"), warnings.catch_warnings():
            # Nothing to mend is no metric, about which the library complains.
            warnings.filterwarnings("ignore", message="No application metrics")
            counts: dict[str, int] = invoke(
                _handler_in(RECONCILE), {"ahead_minutes": ahead_minutes}
            )
        return counts

    def recover(self, rounds: int = 1) -> None:
        """Time passes, TTL sweeps and reconcile looks if its rule is on, so many times."""
        for _ in range(rounds):
            self.run(SCHEDULE)
            self.sweep_ttl()
            if self.is_awake():
                self.strike()
        self.run(60)

    def a_day_later(self) -> None:
        """Reconcile looks once a day, whether its rule is on or not."""
        self.run(24 * 3600)
        self.strike()
        self.run(60)

    def strike(self) -> None:
        """Reconcile is called as the clock does it: twice more if it fails."""
        for wait in (60, 120, 0):
            with suppress(stepfunctions._ExecutionError):
                self.reconcile()
                return
            self.run(wait)

    def is_awake(self) -> bool:
        """Whether the rule that runs reconcile is on."""
        rule = _checked_answer(eventbridge._describe_rule({"Name": event_rule.rule()}))
        return bool(rule["State"] == "ENABLED")

    # ── The stream ──────────────────────────────────────────────────────────────────────────

    def hold_the_stream(self) -> None:
        """Dispatch is down: changes wait in the stream."""
        self._stream_is_held = True

    def release_the_stream(self) -> None:
        self._stream_is_held = False

    def lose_the_stream(self) -> None:
        """Its waiting records are never delivered, as if they were a day old or nobody redrove
        them."""
        self._stream_position = len(self.stream)
        self._waiting_batches.clear()

    def redeliver(self, event: Record) -> Record:
        """Give dispatch an event of `batches` again; its answer."""
        with acting("dispatch"):
            answer: Record = invoke(_handler_in(DISPATCH), event)
        return answer

    @property
    def stream(self) -> list[Record]:
        """Every record that the table has written."""
        records: list[Record] = dynamodb._stream_records.get("slipway", [])
        return records

    def _unread(self) -> list[Record]:
        return self.stream[self._stream_position :]

    def _deliver(self) -> None:
        """One event source mapping: batches in order, and again from the first that failed."""
        mapping = _stream_mapping()
        try:
            while True:
                if not self._waiting_batches:
                    unread = self._unread()[: mapping["BatchSize"]]
                    if not unread:
                        return
                    self._stream_position += len(unread)
                    criteria = {"FilterCriteria": mapping["FilterCriteria"]}
                    if wanted := lambda_svc._apply_filter_criteria(unread, criteria):
                        self._waiting_batches.append(Batch(json.loads(json.dumps(wanted))))
                    continue
                self._deliver_one(self._waiting_batches.popleft(), mapping)
        finally:
            self._is_delivering = False

    def _deliver_one(self, batch: Batch, mapping: Record) -> None:
        event = {"Records": batch.records}
        self.batches.append(json.loads(json.dumps(event)))

        def refusal(trouble: Trouble) -> Exception:
            return task_error(f"Lambda.{trouble}", trouble)

        with acting("stream"):
            try:
                body = self.emulator.call("lambda dispatch", lambda: self.redeliver(event), refusal)
                result = {"body": body}
            except stepfunctions._ExecutionError as error:
                result = {"error": error.error}
            except Died:
                result = {"error": "Lambda.Unknown"}
        reports = "ReportBatchItemFailures" in mapping["FunctionResponseTypes"]
        failed = first_failed(batch.records, result, reports)
        if failed is None:
            return
        again, given_up = after_failure(
            batch,
            failed,
            attempts=mapping["MaximumRetryAttempts"],
            bisect=mapping["BisectBatchOnFunctionError"],
            reported="error" not in result,
        )
        self._waiting_batches.extendleft(reversed(again))
        self.dead_letters += given_up
        self.schedule.sleep(1)

    def forget_the_past(self) -> None:
        """Drop the records of the stream, of calls and of ended executions: for long lives."""
        del self.stream[: self._stream_position]
        self._stream_position = 0
        self.batches.clear()
        self.calls.made.clear()
        known = stepfunctions._executions
        ended = [arn for arn, each in known.items() if each["status"] != "RUNNING"]
        for arn in ended:
            del known[arn]

    # ── What there is to see ────────────────────────────────────────────────────────────────

    def look(self, thing: ProjectId | EnvironmentId | DeploymentId) -> Any:
        """The whole record, its failure as it is shown; reading is no call that can fail."""
        item = self.item(_key(thing))
        assert item is not None, f"there is no {thing}"
        if "failure" in item:
            item["failure"] = failure.decode(item["failure"])
        return item

    def events(self, environment: EnvironmentId) -> list[Record]:
        """The events of the environment and its deployments, oldest first."""
        found = (wire.decode(item) for item in self.items("EVENT#"))
        mine = [event for event in found if event["pk"] == f"ENV#{environment.e}"]
        return sorted(mine, key=lambda event: str(event["sk"]))

    def environments(self) -> list[EnvironmentId]:
        """All there ever were, oldest first."""
        return sorted(ids.parse_environment(item["id"]["S"]) for item in self.items("ENV#"))

    def deployments(self) -> list[DeploymentId]:
        """All there ever were, in the order accepted (of one environment)."""
        return sorted(ids.parse_deployment(item["id"]["S"]) for item in self.items("DEP#"))

    def exists(self, thing: ProjectId | EnvironmentId | DeploymentId) -> bool:
        return self.item(_key(thing)) is not None

    def holder(self, environment: EnvironmentId) -> str | None:
        """The id of the deployment that has the lock."""
        lock = self.item(queue_records.lock(environment))
        return lock.get("holder") if lock else None

    def item(self, key: table.Key) -> Record | None:
        _, _, body = dynamodb._get_item({"TableName": "slipway", "Key": key.wire()})
        raw = json.loads(body).get("Item")
        return wire.decode(raw) if raw else None

    def items(self, prefix: str) -> list[Record]:
        """Every item whose sort key begins so, as DynamoDB's JSON."""
        found: list[Record] = []
        request: Record = {"TableName": "slipway"}
        while True:
            page = _checked_answer(dynamodb._scan(request))
            found += [item for item in page["Items"] if item["sk"]["S"].startswith(prefix)]
            if "LastEvaluatedKey" not in page:
                return found
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def change(self, key: table.Key, expression: str, **values: Any) -> None:
        """An operator's hand in the table, past every rule."""
        status, _, body = dynamodb._update_item(
            actions.write_request(table.Update(key, expression, values))
        )
        assert status == 200, body

    def erase(self, thing: ProjectId | EnvironmentId | DeploymentId) -> None:
        """An operator deletes the record."""
        dynamodb._delete_item(actions.write_request(table.Delete(_key(thing))))

    def executions(self) -> Iterator[graph.Execution]:
        for record in stepfunctions._executions.values():
            workflow = record["stateMachineArn"].removeprefix(MACHINES)
            if workflow in graph.definitions():
                yield graph.execution(workflow, record)

    def execution(self, workflow: str, thing: EnvironmentId | DeploymentId) -> graph.Execution:
        [found] = self.executions_of(workflow, thing)
        return found

    def executions_of(
        self, workflow: str, thing: EnvironmentId | DeploymentId
    ) -> list[graph.Execution]:
        return [
            each
            for each in self.executions()
            if each.workflow == workflow and each.name == str(thing)
        ]

    def stop(self, workflow: str, thing: EnvironmentId | DeploymentId) -> None:
        """An operator stops the execution in the console: no Catch runs."""
        [execution] = self.executions_of(workflow, thing)
        self.stop_execution(execution)

    def stop_execution(self, execution: graph.Execution) -> None:
        """An operator stops this execution, as `stop` does by its name."""
        machine = MACHINES.replace(":stateMachine:", ":execution:") + execution.workflow
        arn = f"{machine}:{execution.name}"
        stepfunctions._stop_execution({"executionArn": arn, "cause": "by hand"})
        self.schedule.end(arn)

    def when(self, where: str | int, fault: Fault, times: int | None = 1, skip: int = 0) -> None:
        """As in Calls."""
        self.calls.when(where, fault, times, skip)


class Infrastructure:
    """Resources that drivers have made and not removed: `(environment, resource)`. `versions` has
    the version in each environment, even if it is only partly deployed, and `harmed` the calls that
    came after a teardown began."""

    def __init__(self) -> None:
        self.exists: set[tuple[str, str]] = set()
        self.versions: dict[str, str | None] = {}
        self.harmed: list[tuple[str, str]] = []
        self._being_retired: set[str] = set()

    def of(self, environment: str) -> set[str]:
        return {resource for owner, resource in self.exists if owner == environment}

    def version_in(self, environment: str) -> str | None:
        return self.versions.get(environment)

    def happened(self, verb: str, operation: Operation, done: bool) -> None:
        environment, resource = operation.environment_id, operation.resource
        if verb == "restore" and done:
            self.versions[environment] = operation.version
        if verb == "retire" and resource:
            self._being_retired.add(environment)
            if done:
                self.exists.discard((environment, resource))
            return
        if resource:
            self.exists.add((environment, resource))
        if environment in self._being_retired:
            self.harmed.append((verb, environment))


class _RecordedDriver:
    """The simulated driver, whose every call is one to the outside."""

    resources = Simulated.resources

    def __init__(self, emulator: Emulator, infrastructure: Infrastructure) -> None:
        self._emulator = emulator
        self._infrastructure = infrastructure
        self._driver = Simulated()

    def provision(self, operation: Operation) -> Progress:
        return self._call_driver("provision", self._driver.provision, operation)

    def ship(self, operation: Operation) -> Progress:
        return self._call_driver("ship", self._driver.ship, operation)

    def restore(self, operation: Operation) -> Progress:
        return self._call_driver("restore", self._driver.restore, operation)

    def retire(self, operation: Operation) -> Progress:
        return self._call_driver("retire", self._driver.retire, operation)

    def lines(self, operation: Operation) -> list[LogLine]:
        lines: list[LogLine] = self._emulator.call(
            "driver lines",
            lambda: self._driver.lines(operation),
            lambda trouble: DriverFault(trouble),
        )
        return lines

    def _call_driver(
        self, verb: str, method: Callable[[Operation], Progress], operation: Operation
    ) -> Progress:
        def perform() -> Progress:
            if verb == "ship":
                # A ship that fails may also have changed the environment.
                self._infrastructure.versions[operation.environment_id] = operation.version
            progress = method(operation)
            self._infrastructure.happened(verb, operation, progress.done)
            return progress

        what = f"driver {verb} {operation.resource}" if operation.resource else f"driver {verb}"
        answer: Progress = self._emulator.call(what, perform, lambda trouble: DriverFault(trouble))
        return answer


def _key(thing: ProjectId | EnvironmentId | DeploymentId) -> table.Key:
    if isinstance(thing, ProjectId):
        return project_records.key(thing)
    if isinstance(thing, EnvironmentId):
        return environment_records.key(thing)
    return deployment_records.key(thing)


def _checked_answer(answer: tuple[int, Any, bytes]) -> Record:
    """The answer of the emulator; raises if it is a refusal."""
    status, _, body = answer
    assert status == 200, body
    said: Record = json.loads(body)
    return said


@cache
def _handler_in(folder: str) -> Callable[[Any, Any], Any]:
    handler: Callable[[Any, Any], Any] = load_function(ROOT / folder).handler
    return handler


def _function_arn(resource: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{resource}"


@cache
def _step_functions() -> dict[str, tuple[str, str]]:
    """The name and the folder of each function that a state machine invokes, by its ARN."""
    found = {}
    for name, resource in resources("AWS::Serverless::Function").items():
        folder = resource["Properties"]["CodeUri"]
        if folder.startswith("functions/steps/") or f"${{{name}}}" in _invoking():
            found[_function_arn(name)] = (name.removesuffix("Function"), folder)
    return found


@cache
def _invoking() -> str:
    """The definition that invokes functions of the API, as text."""
    return json.dumps(graph.definitions()["carry_out_confirmation"])


@cache
def _machine_definitions() -> dict[str, str]:
    """Each state machine's JSON, with what the template substitutes."""
    found = {}
    machines = resources("AWS::Serverless::StateMachine")
    for workflow, definition in graph.definitions().items():
        text = json.dumps(definition)
        properties = machines[camel(workflow)]["Properties"]
        for word, value in properties["DefinitionSubstitutions"].items():
            text = text.replace(
                f"${{{word}}}", _SUBSTITUTIONS.get(value.get("Ref")) or _function_arn(word)
            )
        found[workflow] = text
    return found


_SUBSTITUTIONS = {
    "Table": "slipway",
    "AWS::Partition": "aws",
    "LogDays": "90",
    "EndedDays": "400",
}

# It says the same of the same definition, and takes its time to.
_validated_definitions: set[str] = set()


def create_machine(name: str, definition: str) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/slipway"
    wanted = {"name": name, "definition": definition, "roleArn": role}
    with ExitStack() as stack:
        if definition in _validated_definitions:
            validate = "_validate_definition_jsonata"
            stack.enter_context(mock.patch.object(stepfunctions, validate, lambda *_: None))
        status, _, body = stepfunctions._create_state_machine(wanted)
    assert status == 200, body
    _validated_definitions.add(definition)


@cache
def _stream_mapping() -> Record:
    """How the template feeds the stream to dispatch; here one reader has what all of them want."""
    readers = [
        event["Properties"]
        for function in resources("AWS::Serverless::Function").values()
        for event in function["Properties"].get("Events", {}).values()
        if event["Type"] == "DynamoDB"
    ]
    wanted = [pattern for reader in readers for pattern in reader["FilterCriteria"]["Filters"]]
    return {**readers[0], "FilterCriteria": {"Filters": wanted}}
