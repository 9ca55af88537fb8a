"""Quotas: claiming the slots that a new thing takes, and refusing what exceeds a quota."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from slipway.domain import ids
from slipway.errors import QuotaExceeded
from slipway.settings import Limits, limits
from slipway.store import environment_records, project_records, quota_records, table
from slipway.store.quota_records import Slots
from slipway.store.table import ConditionFailed, Found, Item, Key, Query, TransactionFailed

if TYPE_CHECKING:
    from slipway.domain.ids import EnvironmentId, ProjectId
    from slipway.domain.records import EnvironmentRecord, ProjectRecord

# A refusal reads the records of so many of the oldest, and names so many of them.
_READ = 25
_NAMED = 5
_TRIES = 5
_PAGE = 1000


class Claim:
    """The slots that a new environment or deployment takes, one of each quota.

    claim = Claim(quota_records.environments_of(user_id))
    _, pages = table.read(keys, *claim.queries)
    claim.see(pages)
    record["slots"] = claim.numbers()
    for part, slot in claim.slots().items():
        transaction.put(part, slot, {"holder": record["id"]})
    """

    def __init__(self, *quotas: Slots) -> None:
        self._quotas = {quota_records.kind_of(each.owner): each for each in quotas}
        self._numbers: dict[str, str] = {}

    @property
    def queries(self) -> list[Query]:
        """The queries for the slots in use, to be read along with other items."""
        return [each.query() for each in self._quotas.values()]

    def see(self, pages: Sequence[Found]) -> None:
        """Choose free slots, from the pages of `queries`. Raises QuotaExceeded.

        No round trip, unless a page shows no free slot.
        """
        for (part, slots), page in zip(self._quotas.items(), pages, strict=True):
            self._numbers[part] = slots.free(page) or _search(slots)

    def see_beside(self, pages: Sequence[Found], others: Sequence[Claim]) -> None:
        """`see`, but none of the slots that the others have chosen. Raises QuotaExceeded."""
        for (part, slots), (items, after) in zip(self._quotas.items(), pages, strict=True):
            chosen = [each.slots()[f"{part}_slot"] for each in others]
            taken = [*items, *({"pk": each.pk, "sk": each.sk} for each in chosen)]
            number = slots.free((taken, after)) or _search(slots)
            if quota_records.slot(slots.owner, slots.kind, number) in chosen:
                # The others have the last ones.
                raise _exceeded(slots.quota, slots.limit, (), "")
            self._numbers[part] = number

    def see_again(self, failed: TransactionFailed) -> bool:
        """Choose other slots for those that the transaction found taken. Raises QuotaExceeded.

        Returns whether there were any. One round trip for each.
        """
        taken = [part for part in self._quotas if failed.get(f"{part}_slot") is not None]
        for part in taken:
            self._numbers[part] = _search(self._quotas[part])
        return bool(taken)

    def numbers(self) -> dict[str, str]:
        """The slots by their owners, as a record's field `slots` has them."""
        return {each.owner: self._numbers[part] for part, each in self._quotas.items()}

    def slots(self) -> dict[str, Key]:
        """The keys of the slots, by the names of their parts of the transaction."""
        return {
            f"{part}_slot": quota_records.slot(each.owner, each.kind, self._numbers[part])
            for part, each in self._quotas.items()
        }


# --- slots ------------------------------------------------------------------------------------


def _search(slots: Slots) -> str:
    """A free slot; one round trip, more if the quota is nearly used up. Raises QuotaExceeded."""
    for _ in range(_TRIES):
        slots = slots.elsewhere()
        found = table.read((), slots.query())[1][0]
        number = slots.free(found)
        if number:
            return number
        if not slots.start and found[1] is None:
            return _last_free(slots, found[0])
    slots = slots.whole()
    return _last_free(slots, list(table.every(slots.query())))


def _last_free(slots: Slots, items: Sequence[Item]) -> str:
    """A free slot; `items` are all that are in use. Raises QuotaExceeded if there is none.

    Slots whose holders have ended do not count, and those among the oldest are freed here.
    """
    oldest = sorted(items, key=_age)[:_READ]
    names = list(dict.fromkeys(item["holder"] for item in oldest))
    records = table.get(*map(_record, names))
    holders = dict(zip(names, records, strict=True))
    leftover = {holder for holder, record in holders.items() if _has_ended(record)}
    for item in oldest:
        if item["holder"] in leftover:
            key = Key(item["pk"], item["sk"])
            with suppress(ConditionFailed):
                table.write(quota_records.free_leftover(key, item["holder"]), aside=True)
    used = [item for item in items if item["holder"] not in leftover]
    number = slots.free((used, None))
    if number is None:
        living = [record for record in records if record and not _has_ended(record)]
        raise _exceeded(slots.quota, len(used), *_named(slots.kind, living))
    return number


def _age(item: Item) -> str:
    """Sorts by age: the last part of an id begins with the time."""
    return _part(item["holder"])


def _part(name: str) -> str:
    return name.rpartition("_")[2]


def _record(holder: str) -> Key:
    if holder.startswith("env_"):
        return environment_records.key(ids.parse_environment(holder))
    from slipway.store import deployment_records

    return deployment_records.key(ids.parse_deployment(holder))


def _has_ended(record: Item | None) -> bool:
    if record is None:
        return True
    return record["status"] == "destroyed" or record.get("finished_at") is not None


def _named(kind: str, records: Sequence[Item]) -> tuple[list[dict[str, str]], str]:
    """Some of the records, as a refusal names them, and the path that lists the first ones."""
    if kind == quota_records.DEPLOYMENT:
        named = [_fields(each, "id", "environment_id") for each in records[:_NAMED]]
        return named, f"/api/v1/environments/{named[0]['environment_id']}/queue" if named else ""
    brief = [each for each in records if each["type"] == "ephemeral"] or records
    named = [_fields(each, "id", "name", "project_id") for each in brief[:_NAMED]]
    return named, _environments(named[0]["project_id"]) if named else ""


def _fields(record: Item, *names: str) -> dict[str, str]:
    return {name: record[name] for name in names}


def _environments(project_id: str) -> str:
    return f"/api/v1/environments/projects/{project_id}"


def _exceeded(
    quota: str, used: int, could_end: Sequence[Mapping[str, str]], path: str
) -> QuotaExceeded:
    limit = getattr(limits(), quota)
    return QuotaExceeded(Limits.parameter(quota), limit, used, could_end=list(could_end), list=path)


# --- counters ---------------------------------------------------------------------------------
# Each function is called when a counter has reached its limit. If the counter is right it raises
# QuotaExceeded; otherwise it corrects the counter and returns, and the caller tries again. The
# objects are read after the counter, and the counter is corrected only if none was made since.


def projects_counted(user_id: str) -> None:
    """Two round trips, one more for each megabyte of the user's list, and one to correct it."""
    counter = quota_records.projects_of(user_id)
    [item] = table.get(counter)
    listing = table.every(project_records.of_user(user_id, _PAGE))
    mine = [each for each in listing if not each.get("shared")]
    if item is None or len(mine) >= min(item["used"], limits().projects_per_user):
        named = [_fields(each, "id", "name") for each in mine[:_NAMED]]
        raise _exceeded("projects_per_user", len(mine), named, "/api/v1/projects")
    with suppress(ConditionFailed):
        table.write(quota_records.correct(counter, item, len(mine)), aside=True)


def environments_counted(project: ProjectId, record: ProjectRecord) -> None:
    """`record` is the project's. One round trip for each 1,000 environments, and one for the
    oldest."""
    names = list(table.every(project_records.names_in(project, _PAGE)))
    if len(names) >= min(record["environments"], limits().environments_per_project):
        oldest = sorted((each["environment_id"] for each in names), key=_part)[:_READ]
        records = [each for each in table.get(*map(_record, oldest)) if each]
        named, _ = _named(quota_records.ENVIRONMENT, records)
        path = _environments(str(project))
        raise _exceeded("environments_per_project", len(names), named, path)
    with suppress(ConditionFailed):
        table.write(project_records.correct_environments(project, record, len(names)), aside=True)


def waiting_counted(environment: EnvironmentId, record: EnvironmentRecord) -> None:
    """`record` is the environment's. One round trip for each 100 that wait."""
    from slipway.store import queue_records

    places = [each["deployment_id"] for each in queue_records.waiting(environment)]
    if len(places) >= min(record["waiting"], limits().deployments_waiting):
        named = [{"id": each} for each in places[:_NAMED]]
        path = f"/api/v1/environments/{environment}/queue"
        raise _exceeded("deployments_waiting", len(places), named, path)
    with suppress(ConditionFailed):
        table.write(queue_records.correct_waiting(record, len(places)), aside=True)


def templates_counted() -> QuotaExceeded:
    """The refusal of one more template. Templates cannot be deleted, so the counter is right."""
    most = limits().templates_per_user
    return _exceeded("templates_per_user", most, (), "/api/v1/templates")


def versions_counted(template: str) -> QuotaExceeded:
    """The refusal of one more version; one round trip."""
    from slipway.store import template_records

    pk = template_records.TEMPLATE + template
    oldest, _ = table.query(pk, template_records.VERSION, limit=_READ)
    drafts = [_fields(each, "version") for each in oldest if each["state"] == "draft"]
    most, path = limits().versions_per_template, f"/api/v1/templates/{template}/versions"
    return _exceeded("versions_per_template", most, drafts[:_NAMED], path)
