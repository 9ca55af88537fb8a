"""CloudWatch Logs, and the stack, the functions and the secrets of an environment, as AWS has them.

What AWS says about FilterLogEvents is in botocore's model: at most 10,000 events or 1 MB in an
answer, in the order of their times, then of their reception; an answer may be partly full or empty
although there are more, which its token says. An event is found some time after it was received.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

from slipway.aws import redaction
from slipway.domain import scope
from slipway.errors import DriverFault, DriverRefused

_BYTES = 1_000_000
_OVERHEAD = 26  # bytes that AWS counts for each event


@dataclass
class Event:
    at: int
    received: int
    found: int
    id: str
    message: str


@dataclass
class CloudWatch:
    """`now` is its clock, in milliseconds. `page` limits the events of an answer further."""

    environment_id: str
    now: int
    page: int = 10_000
    groups: dict[str, list[Event]] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    """The log group of each function, by its logical id."""
    secrets: dict[str, str] = field(default_factory=dict)
    """The values of parameters by name."""
    calls: list[str] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    """What the next searches raise."""
    empty: int = 0
    """How many empty answers come before the first event of each search."""
    metrics: dict[tuple[str, str], dict[datetime, list[float]]] = field(default_factory=dict)
    """The values of each minute, by the function's logical id and the metric's name."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The requests for metrics."""
    _made: int = 0

    @property
    def prefix(self) -> str:
        """What the names of the environment's resources begin with."""
        return f"slipway-env-{scope.stack_suffix(self.environment_id)}"

    def add_function(self, name: str, group: str | None = None) -> str:
        """A function of the stack. Returns its log group."""
        group = group or f"{self.prefix}-{name}Logs-ABC"
        self.functions[name] = group
        self.groups.setdefault(group, [])
        return group

    def write(
        self, group: str, message: str, *, at: int | None = None, late: int = 0, unseen: int = 0
    ) -> None:
        """A line of the time `at`, received `late` after it, and found `unseen` after that."""
        self._made += 1
        at = self.now if at is None else at
        id_ = f"{at:014}{self._made:042}"
        made = Event(at, at + late, at + late + unseen, id_, message)
        bisect.insort(self.groups[group], made, key=_as_aws_sorts)

    def call(self, service: str, method: str, **request: Any) -> Any:
        """In the place of slipway.aws.call."""
        _validate(service, method, request)
        self.calls.append(method)
        answer: Callable[..., Any] = getattr(self, f"_{method}")
        told = answer(**request)
        return redaction.answer(told) if service == "cloudformation" else told

    def _list_stack_resources(self, StackName: str) -> Any:
        kinds = [(name, "AWS::Lambda::Function") for name in self.functions]
        kinds.append(("Table", "AWS::DynamoDB::Table"))
        return {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": name,
                    "PhysicalResourceId": f"{self.prefix}-{name}-XYZ",
                    "ResourceType": kind,
                }
                for name, kind in kinds
            ]
        }

    def _get_function_configuration(self, FunctionName: str) -> Any:
        name = FunctionName.removeprefix(f"{self.prefix}-").removesuffix("-XYZ")
        return {"LoggingConfig": {"LogFormat": "Text", "LogGroup": self.functions[name]}}

    def _get_parameters_by_path(self, Path: str, **_: Any) -> Any:
        found = {name: value for name, value in self.secrets.items() if name.startswith(Path + "/")}
        return {"Parameters": [{"Name": name, "Value": value} for name, value in found.items()]}

    def invoke(self, source: str, at: datetime, milliseconds: float, error: bool = False) -> None:
        """An invocation that Lambda counts."""
        minute = at.replace(second=0, microsecond=0)
        counted = {"Invocations": 1.0, "Errors": float(error), "Duration": milliseconds}
        for name, value in counted.items():
            self.metrics.setdefault((source, name), {}).setdefault(minute, []).append(value)

    def _get_metric_data(self, **request: Any) -> Any:
        self.asked.append(request)
        since, until = request["StartTime"], request["EndTime"]
        results = []
        for query in request["MetricDataQueries"]:
            stat = query["MetricStat"]
            [function] = [each["Value"] for each in stat["Metric"]["Dimensions"]]
            source = function.removeprefix(f"{self.prefix}-").removesuffix("-XYZ")
            periods: dict[datetime, list[float]] = {}
            for at, values in self.metrics.get((source, stat["Metric"]["MetricName"]), {}).items():
                if since <= at < until:
                    number = (at - since) // timedelta(seconds=stat["Period"])
                    begins = since + number * timedelta(seconds=stat["Period"])
                    periods.setdefault(begins, []).extend(values)
            found = {at: _statistic(stat["Stat"], values) for at, values in periods.items()}
            results.append({"Id": query["Id"], "Timestamps": [*found], "Values": [*found.values()]})
        return {"MetricDataResults": results}

    def _filter_log_events(
        self,
        logGroupName: str,
        startTime: int,
        endTime: int | None = None,
        nextToken: str | None = None,
    ) -> Any:
        if self.faults:
            raise self.faults.pop(0)
        if logGroupName not in self.groups:
            raise DriverRefused(
                "ResourceNotFoundException: The specified log group does not exist."
            )
        after, blank = json.loads(nextToken) if nextToken else (None, 0)
        events, until = self.groups[logGroupName], endTime or self.now
        first = bisect.bisect_left(events, (startTime, 0, ""), key=_as_aws_sorts)
        if after is not None:
            first = max(first, bisect.bisect_right(events, tuple(after), key=_as_aws_sorts))
        now = self.now
        left = [each for each in events[first:] if each.at <= until and each.found <= now]
        if blank < self.empty:
            return {"events": [], "nextToken": json.dumps([after, blank + 1])}
        page = self._page(left)
        answer: dict[str, Any] = {
            "events": [
                {
                    "logStreamName": "2026/11/23/[$LATEST]abc",
                    "timestamp": each.at,
                    "message": each.message,
                    "ingestionTime": each.received,
                    "eventId": each.id,
                }
                for each in page
            ]
        }
        if len(page) < len(left):
            answer["nextToken"] = json.dumps([_as_aws_sorts(page[-1]), blank])
        return answer

    def _page(self, left: Sequence[Event]) -> Sequence[Event]:
        size = 0
        for n, each in enumerate(left[: self.page]):
            size += len(each.message.encode()) + _OVERHEAD
            if size > _BYTES:
                return left[:n]
        return left[: self.page]


def _statistic(name: str, values: Sequence[float]) -> float:
    if name == "Sum":
        return sum(values)
    place = round(float(name.removeprefix("p")) / 100 * (len(values) - 1))
    return sorted(values)[place]


def throttled() -> DriverFault:
    """What slipway.aws.call raises if AWS throttles."""
    return DriverFault("ThrottlingException: Rate exceeded")


def _as_aws_sorts(event: Event) -> tuple[int, int, str]:
    return event.at, event.received, event.id


def _validate(service: str, method: str, request: dict[str, Any]) -> None:
    operation = "".join(part.title() for part in method.split("_"))
    shape = _model(service).operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()


@cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)
