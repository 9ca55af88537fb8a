"""Retention: what belongs to an environment or a project that has ended goes with it.

The write that destroys an environment gives its record a `ttl`, and leaves it due until everything
in its partition has that `ttl` or an earlier one. Dispatch does this when the stream brings the
end, and reconcile continues what dispatch did not finish.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from slipway.domain import ids
from slipway.store import (
    deadlines,
    deployment_records,
    environment_records,
    lifetimes,
    project_records,
    table,
)
from slipway.store.actions import Filter
from slipway.store.table import ConditionFailed, Delete, Key, Query, Update

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slipway.domain.ids import ProjectId
    from slipway.domain.records import DeploymentRecord, EnvironmentRecord

# The writes sent at once, and the most of one call: dispatch and reconcile have other work.
_WAVE = 25
_MOST = 2_000
_PAGE = 1_000
# Before and after every sort key.
_FIRST, _LAST = "!", "~"


def settle(item: EnvironmentRecord) -> int:
    """Let what belongs to a destroyed environment go with it, and take the record off the clock.

    Returns how many items it has changed. If that is not all of them, the record stays due, and
    another call goes on. Repeating it changes nothing. One round trip for each megabyte of the
    partition, one for each 25 items that change, and one or two for the record.
    """
    environment = ids.parse_environment(item["id"])
    record = environment_records.key(environment)
    ends = item.get("ttl")
    if ends is None:
        # Destroyed by an execution of an earlier release.
        ends = lifetimes.ended(item["destroyed_at"])
        _let_go(record, ends)
    count = _settle_partition(f"ENV#{environment.e}", ends)
    if count < _MOST and "due" in item:
        deadlines.clear(record)
    return count


def settle_project(project: ProjectId) -> int:
    """Let what belongs to a deleted project go: its trusts at once, everything else as what ended
    when it was deleted. Until then it only leads to 404, because nobody is a member.

    Returns and costs as `settle`, with two round trips more, and one for each trust. Repeating it
    changes nothing.
    """
    # Imported here, because few projects are deleted.
    from slipway.store import trust_records

    note = project_records.ended_key(project)
    [found] = table.get(note)
    trust_records.forget(project)
    if found is None:
        # It has been done, or an earlier release has deleted the project.
        return 0
    count = _settle_partition(note.pk, lifetimes.ended(found["deleted_at"]))
    if count < _MOST:
        table.write(Delete(note))
    return count


def replaced(was_live: str, at: str) -> None:
    """Let the deployment go that was live until another one took its place at `at`, as text.

    It has not ended before: it says what is live. No-op if it has a `ttl`. One round trip.
    """
    _let_go(deployment_records.key(ids.parse_deployment(was_live)), lifetimes.ended(at))


def ended(item: DeploymentRecord) -> None:
    """Let a deployment go that an execution of an earlier release ended, and that never was live.

    No-op if it has a `ttl`. One round trip.
    """
    where = deployment_records.key(ids.parse_deployment(item["id"]))
    _let_go(where, lifetimes.ended(item["finished_at"]))


def _let_go(key: Key, ends: int) -> None:
    condition = "attribute_exists(pk) AND attribute_not_exists(#ttl)"
    with suppress(ConditionFailed):
        table.write(Update(key, "SET #ttl = :ends", {"ends": ends}, condition))


def _settle_partition(pk: str, ends: int) -> int:
    """Let up to _MOST items of the partition go by `ends`. Returns how many would not have."""
    staying = islice(_staying(pk, ends), _MOST)
    count = 0
    while wave := list(islice(staying, _WAVE)):
        change = "SET #ttl = :ends"
        table.write_at_once(
            [Update(Key(each["pk"], each["sk"]), change, {"ends": ends}) for each in wave]
        )
        count += len(wave)
    return count


def _staying(pk: str, ends: int) -> Iterator[Any]:
    """The items that would outlive their parent. What is due is removed by reconcile."""
    where = Filter(
        "attribute_not_exists(#due) AND (attribute_not_exists(#ttl) OR #ttl > :ends)",
        {"ends": ends},
        {},
    )
    yield from table.every(Query(pk, "", _PAGE, between=(_FIRST, _LAST), where=where))
