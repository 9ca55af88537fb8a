"""Log lines: those of a rollout, and those of an environment's creation and teardown.

Readers follow a log forwards only. A line that arrives late is dropped if a line with a later time
has been written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from slipway.domain import failure, timestamps
from slipway.domain.deployment import LogLine
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.store import table
from slipway.store.table import ConditionFailed, Item, Key, Put, Update

PREFIX = "LOG#"
# By a deployment's last status, the step of the line that ends its log. State machines write it
# with a sort key that ends with the status, or with `succeed`.
LAST_STEPS = {
    "canceled": "cancel",
    "failed": "fail",
    "rolled_back": "roll_back",
    "superseded": "supersede",
}
_ENDS = ("succeed", *LAST_STEPS)


def pk(subject: DeploymentId | EnvironmentId) -> str:
    """The partition key of the subject's log."""
    if isinstance(subject, DeploymentId):
        return f"DEP#{subject.d}"
    return f"ENV#{subject.e}"


def last_line(deployment: DeploymentId, status: str, at: str, failure: Mapping[str, Any]) -> Update:
    """The line that says how and why a deployment ended, for the transaction that ends it.

    It is an update because that is a right which all functions that end deployments have.
    """
    level = "error" if status == "failed" else "warning"
    line = {"ts": at, "step": LAST_STEPS[status], "level": level, "failure": dict(failure)}
    expression, values = table.setting(line)
    where = Key(pk(deployment), f"{PREFIX}{at}#{status}")
    return Update(where, expression, values, condition="attribute_not_exists(pk)")


def _is_last(sk: str) -> bool:
    """Whether it is the sort key of a line that ends the log of a deployment."""
    return sk.endswith(tuple(f"#{end}" for end in _ENDS))


def write(deployment: DeploymentId, step: str, entered_at: str, *messages: str) -> None:
    """Write a line for each message; one round trip for each.

    `entered_at` is the time when the workflow entered the step, as text. The keys begin with it,
    so a retried step writes its lines under the same keys and none appears twice.
    """
    for n, message in enumerate(messages):
        line = {"ts": entered_at, "step": step, "level": "info", "message": message}
        with suppress(ConditionFailed):
            table.write(Put(Key(pk(deployment), f"{PREFIX}{entered_at}#{step}#{n}"), line))


def to_model(item: Item) -> LogLine:
    """The line as the API returns it.

    The last line of a state machine holds the failure itself; its message is made here.
    """
    if "failure" not in item:
        return LogLine(**item)
    again = f"; {item['live']} is live again" if item.get("live") else ""
    return LogLine(**item, message=failure.summary(item["failure"]) + again)


def keep(subject: DeploymentId | EnvironmentId, lines: Sequence[LogLine]) -> None:
    """Write the lines that the log does not have yet.

    `lines` are all lines that the infrastructure has reported so far, in order. None is written
    behind a deployment's last one. One round trip, and one for each new line.
    """
    if not lines:
        return
    [*last], _ = table.query(pk(subject), PREFIX, limit=1, newest_first=True)
    if last and _is_last(last[0]["sk"]):
        return
    at_same_time: Counter[str] = Counter()
    for line in lines:
        ts = timestamps.written(line.ts)
        sk = f"{PREFIX}{ts}#{line.step}#{at_same_time[ts]:05}"
        at_same_time[ts] += 1
        if not last or sk > last[0]["sk"]:
            with suppress(ConditionFailed):
                table.write(Put(Key(pk(subject), sk), line.model_dump()))
