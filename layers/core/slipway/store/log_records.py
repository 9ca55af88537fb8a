"""Log lines: those of a rollout, and those of an environment from its creation to its end.

Readers follow a log forwards only. A line that arrives late is dropped if a line with a later time
has been written.

A log ends with a line that says how, written in the transaction that ends its subject: a rollout,
or an environment that is destroyed or forgotten. Dispatch adds the states on the way there from the
table's stream, no matter who wrote them. Each line is written with its `ttl`, so the lines of what
lives long go before it: whether more can follow is in the subject's record, not in its last line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from slipway.domain import failure, timestamps
from slipway.domain.deployment import LogLine
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.store import lifetimes, table
from slipway.store.table import ConditionFailed, Item, Key, Put, Update

if TYPE_CHECKING:
    from slipway.domain.records import ChangeRecord

PREFIX = "LOG#"
# By a deployment's last status, the step of the line that ends its log. State machines write it
# with a sort key that ends with the status, or with `succeed`.
LAST_STEPS = {
    "canceled": "cancel",
    "failed": "fail",
    "rolled_back": "roll_back",
    "superseded": "supersede",
}
# The log of an environment ends with one of the last two.
_ENDS = ("succeed", *LAST_STEPS, "destroyed", "forgotten")


def _kept(line: Mapping[str, Any]) -> Item:
    """The line with the time at which it goes."""
    return {**line, "ttl": lifetimes.of_line()}


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
    expression, values = table.setting(_kept(line))
    where = Key(pk(deployment), f"{PREFIX}{at}#{status}")
    return Update(where, expression, values, condition="attribute_not_exists(pk)")


def forgotten(environment: EnvironmentId, change: ChangeRecord) -> Update:
    """The line that ends the log of an environment that is marked as destroyed."""
    message = f"Forgotten by {change['actor']}. {change.get('reason', '')}"
    line = {"ts": change["at"], "step": "forget", "level": "warning", "message": message}
    expression, values = table.setting(_kept(line))
    where = Key(pk(environment), f"{PREFIX}{change['at']}#forgotten")
    return Update(where, expression, values, condition="attribute_not_exists(pk)")


def tell(environment: EnvironmentId, event: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Write the line about an event of the environment, if its log tells such events.

    `before` is why the record was last written before the event, empty for the first one. At most
    two round trips. Repeating it changes nothing.
    """
    message = _milestone(event, before)
    if message is None:
        return
    state = event["to"]
    level = "error" if state in ("failed", "teardown_failed") else "info"
    line = {"ts": event["at"], "step": state, "level": level, "message": message}
    # A number follows, because this line does not end the log.
    sk = f"{PREFIX}{event['at']}#{state}#0"
    last = _last_of(environment)
    if last is None or last < sk:
        with suppress(ConditionFailed):
            table.write(Put(Key(pk(environment), sk), _kept(line)))


def _milestone(event: Mapping[str, Any], before: Mapping[str, Any]) -> str | None:
    """What the log says of the event; None if it does not tell it."""
    action, reason = event["action"], event.get("reason")
    if action == "running":
        return "The environment is running"
    if action == "failed":
        return f"Creation failed: {reason}"
    if action == "teardown_failed":
        return f"Teardown failed: {reason}"
    if action == "retry_planned":
        return f"The teardown is {reason}"
    if action == "retries_ended":
        return reason
    # A request for a teardown can come while provisioning still reports: its beginning is told.
    if action in ("tearing_down", "started") and event["actor"] == "retire_environment":
        author = before.get("by", {}).get("name") or before.get("actor", "")
        over = before.get("action") == "expiring"
        return f"Teardown begins: {'the lease is over' if over else f'{author} asked for it'}"
    return None


def _last_of(subject: DeploymentId | EnvironmentId) -> str | None:
    """The sort key of the last line; one round trip."""
    last, _ = table.query(pk(subject), PREFIX, limit=1, newest_first=True)
    return str(last[0]["sk"]) if last else None


def _is_last(sk: str) -> bool:
    """Whether it is the sort key of a line that ends a log."""
    return sk.endswith(tuple(f"#{end}" for end in _ENDS))


def write(deployment: DeploymentId, step: str, entered_at: str, *messages: str) -> None:
    """Write a line for each message; one round trip for each.

    `entered_at` is the time when the workflow entered the step, as text. The keys begin with it,
    so a retried step writes its lines under the same keys and none appears twice.
    """
    for n, message in enumerate(messages):
        line = {"ts": entered_at, "step": step, "level": "info", "message": message}
        with suppress(ConditionFailed):
            where = Key(pk(deployment), f"{PREFIX}{entered_at}#{step}#{n}")
            table.write(Put(where, _kept(line)))


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
    behind the one that ends the log. One round trip, and one for each new line.
    """
    if not lines:
        return
    last = _last_of(subject)
    if last and _is_last(last):
        return
    at_same_time: Counter[str] = Counter()
    for line in lines:
        ts = timestamps.written(line.ts)
        sk = f"{PREFIX}{ts}#{line.step}#{at_same_time[ts]:05}"
        at_same_time[ts] += 1
        if last is None or sk > last:
            with suppress(ConditionFailed):
                table.write(Put(Key(pk(subject), sk), _kept(line.model_dump())))
