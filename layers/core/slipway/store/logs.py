"""What is said while something is done: a rollout's lines, and those of an environment itself.

Who follows a log never looks back. So a line that comes later than its time is left out if a
later one is there already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from slipway.domain import timestamps
from slipway.domain.deployment import LogLine
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.domain.paging import Page, Paging
from slipway.store import deployments, environments, table
from slipway.store.table import ConditionFailed, Item, Key, Put

PREFIX = "LOG#"
_ENDING = timedelta(minutes=1)
# Something is done to an environment in these; in the others nothing is to come for now.
_UNDER_WAY = {"provisioning", "expiring", "tearing_down"}


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


def of_deployment(deployment: DeploymentId, user_id: str, paging: Paging) -> Page[LogLine]:
    """The rollout's lines, oldest first. Raises NotFound. One round trip; one more within a minute
    of its end if the page has not the line that is written together with that.

    While the deployment has not ended the last page has a cursor too: more may come after it.
    """
    keys = deployments.access(deployment, user_id)
    found, items, last = table.page(keys, pk(deployment), PREFIX, paging, newest_first=False)
    ended = deployments.allowed(deployment, *found).get("finished_at")
    if last is None and ended is None:
        last = items[-1]["sk"] if items else paging.after
    elif last is None and _is_recent(str(ended)) and not _has_the_end(items, paging, str(ended)):
        # The last lines may have come after the page was read, and before the record was.
        items, last = table.query(pk(deployment), PREFIX, limit=paging.limit, after=paging.after)
    return Page([LogLine(**item) for item in items], last)


def _has_the_end(items: Sequence[Item], paging: Paging, ended: str) -> bool:
    """Whether the line was read that is written together with the end: no other is to come."""
    read = [*(item["sk"] for item in items), paging.after or ""]
    return any(sk.startswith(f"{PREFIX}{ended}#") for sk in read)


def of_environment(environment: EnvironmentId, user_id: str, paging: Paging) -> Page[LogLine]:
    """What was said as the environment was made and taken away, oldest first. Raises NotFound.

    While either goes on, and for a minute after, the last page has a cursor too. One round trip.
    """
    keys = environments.access(environment, user_id)
    found, items, last = table.page(keys, pk(environment), PREFIX, paging, newest_first=False)
    item = environments.allowed(*found)
    if last is None and (item["status"] in _UNDER_WAY or _is_recent(item["updated_at"])):
        last = items[-1]["sk"] if items else paging.after
    return Page([LogLine(**item) for item in items], last)


def _is_recent(at: str) -> bool:
    return at >= timestamps.written(timestamps.now() - _ENDING)
