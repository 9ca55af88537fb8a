"""Values of secrets that are stored for a level, or are to be removed, whatever happens in between.

A clean-up record names values that no level may name: one that is stored before the transaction
that records it, and those that a change leaves behind. It is written first, or in the change's
transaction, and deleted last; if the process dies, reconcile removes the values an hour later. The
records of secret inputs are others (slipway.services.cleanup).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from slipway.aws import secret_values
from slipway.domain import ids, timestamps
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.errors import Refused
from slipway.services.cleanup import STORED
from slipway.store import deadlines, idempotency, table
from slipway.store.table import Action, ConditionFailed, Delete, Item, Key, Put

if TYPE_CHECKING:
    from slipway.store.configuration_records import Scope

# By then, a request that stores or removes values has ended, or its process has died.
_GRACE = timedelta(hours=1)


def note_key(scope: Scope) -> Key:
    """The key of a new clean-up record."""
    pk = f"ENV#{scope.e}" if isinstance(scope, EnvironmentId) else f"PROJECT#{scope[0].p}"
    return Key(pk, STORED + ids.new_part())


def note(key: Key, scope: Scope, places: Iterable[str], purged: str | None = None) -> Put:
    """Write a clean-up record: these values are to be removed, and `purged` from configurations."""
    identity = str(scope if isinstance(scope, EnvironmentId) else scope[0])
    due = deadlines.due_fields(identity, timestamps.now() + _GRACE)
    item = {"id": identity, "places": sorted(places), "purged": purged, **due}
    return Put(key, item, condition=None)


@contextmanager
def storing(scope: Scope, place: str, value: str, parts: dict[str, Action]) -> Iterator[None]:
    """Store the value for a transaction, and remove it again if that is refused.

    Adds the part that claims it to `parts`. If this process dies before the transaction, reconcile
    removes the value. One round trip, and one call of the parameter store. Raises DriverFault.
    """
    key = note_key(scope)
    table.write(note(key, scope, [place]), aside=True)
    secret_values.write(place, value)
    parts["stored"] = Delete(key, "attribute_exists(pk)")
    try:
        yield
    except (Refused, ConditionFailed, idempotency.Done):
        secret_values.remove([place])
        table.write(Delete(key), aside=True)
        raise


def finish(written: Action) -> None:
    """Carry out a clean-up record that a transaction has written."""
    if isinstance(written, Put):
        carry_out(written.key, dict(written.item))


def carry_out(key: Key, item: Item) -> None:
    """Remove what a clean-up record names, then the record. Repeating it changes nothing.

    Raises DriverFault, StoreUnavailable.
    """
    secret_values.remove(item["places"])
    if whole := item.get("below"):
        secret_values.remove_all(whole)
    if name := item.get("purged"):
        # Imported here, because little is purged.
        from slipway.services import purging

        purging.carry_out(item["id"], name)
    table.write(Delete(key), aside=True)


def of_deleted_project(project: ProjectId) -> Put:
    """The part of a project's deletion that says that the values of its secrets are to be removed.

    It is due at once, because no request can store a value of a project that is gone.
    """
    due = deadlines.due_fields(str(project), timestamps.now())
    item = {"id": str(project), "places": [], "below": f"projects/{project}", **due}
    return Put(note_key((project, None)), item)
