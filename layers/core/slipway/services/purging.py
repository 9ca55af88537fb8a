"""Purging: taking values out of the configurations that environments have had.

A level remembers what was purged from it, so nothing shows it from then on. Here it is taken out of
the table as well, and out of what deployments have brought to the parameter store.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from slipway.domain import configuration, ids
from slipway.domain.ids import EnvironmentId
from slipway.domain.records import changed
from slipway.errors import Busy
from slipway.services import configuration as configurations
from slipway.services import delivery
from slipway.store import configuration_records, environment_records, project_records, table
from slipway.store.table import Query, Transaction, TransactionFailed

if TYPE_CHECKING:
    from slipway.domain.configuration import Levels
    from slipway.domain.records import EnvironmentRecord

_PAGE = 25
_TRIES = 5


def carry_out(identity: str, name: str) -> None:
    """Take what was purged out of all configurations of the environment, or of the project's.

    `identity` is the id of either, and `name` what was purged last. Repeating it changes nothing. A
    few round trips for each environment, one for each configuration, two for one that had the name.
    """
    for record in _environments(identity):
        environment = ids.parse_environment(record["id"])
        found = table.get(*configurations.keys(environment))
        levels = configurations.levels(record, found)
        heads = Query(f"ENV#{environment.e}", configuration_records.HEAD, _PAGE)
        without = {
            head["number"]
            for head in table.every(heads)
            if name in _take_out(environment, head["number"], levels)
        }
        if delivered := without & {int(each) for each in record.get("delivered", ())}:
            delivery.forget(changed(record, {"delivered": {str(each) for each in delivered}}), name)


def _environments(identity: str) -> Iterator[EnvironmentRecord]:
    """The record of the environment, or those of all that the project has had."""
    if not identity.startswith("prj_"):
        record = environment_records.find(ids.parse_environment(identity))
        yield from [record] if record else []
        return
    pk = project_records.key(ids.parse_project(identity)).pk
    yield from table.every(Query(pk, environment_records.PREFIX, _PAGE))


def _take_out(environment: EnvironmentId, number: int, levels: Levels) -> list[str]:
    """Take what was purged out of the configuration. Returns all names that it lacks by now."""
    for _ in range(_TRIES):
        where = configuration_records.content_keys(environment, number)
        head, *slices = table.get(configuration_records.head_key(environment, number), *where)
        if head is None:
            return []
        content = configurations.content(slices)
        gone = configuration.purged(content, head["levels"], head["tier"], levels)
        names = sorted({*head.get("purged", ()), *gone})
        if not gone:
            return names
        kept = configuration.without(content, gone)
        try:
            Transaction(configuration_records.purged(environment, head, names, kept)).commit()
        except TransactionFailed:
            # Something else was purged at the same time.
            continue
        return names
    raise Busy(1)
