"""What is said while something is done: a rollout's lines, and those of an environment itself.

Who follows a log never looks back. So a line that comes later than its time is left out if a
later one is there already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from slipway.domain import failure, timestamps
from slipway.domain.deployment import LogLine
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.store import table
from slipway.store.table import ConditionFailed, Item, Key, Put

PREFIX = "LOG#"


def pk(of: DeploymentId | EnvironmentId) -> str:
    return f"DEP#{of.d}" if isinstance(of, DeploymentId) else f"ENV#{of.e}"


def write(of: DeploymentId, step: str, entered_at: str, *messages: str) -> None:
    """Say something, one round trip a line.

    A step that is tried again writes its lines again under the same keys, which begin with
    the moment when the workflow entered the step (as text): nothing is said twice.
    """
    for n, message in enumerate(messages):
        line = {"ts": entered_at, "step": step, "level": "info", "message": message}
        with suppress(ConditionFailed):
            table.write(Put(Key(pk(of), f"{PREFIX}{entered_at}#{step}#{n}"), line))


def read(item: Item) -> LogLine:
    """The line as it is shown. A state machine's last line holds the failure, not a message."""
    if "failure" not in item:
        return LogLine(**item)
    again = f"; {item['live']} is live again" if item.get("live") else ""
    return LogLine(**item, message=failure.summary(item["failure"]) + again)


def keep(of: DeploymentId | EnvironmentId, lines: Sequence[LogLine]) -> None:
    """Write down what the infrastructure says, as far as the log does not have it yet.

    `lines` are all there are so far, in order. One round trip, and one for each new line.
    """
    if not lines:
        return
    [*last], _ = table.query(pk(of), PREFIX, limit=1, newest_first=True)
    in_this_moment: Counter[str] = Counter()
    for line in lines:
        ts = timestamps.written(line.ts)
        sk = f"{PREFIX}{ts}#{line.step}#{in_this_moment[ts]:05}"
        in_this_moment[ts] += 1
        if not last or sk > last[0]["sk"]:
            with suppress(ConditionFailed):
                table.write(Put(Key(pk(of), sk), line.model_dump()))
