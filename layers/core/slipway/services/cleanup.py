"""Clean-up records for things outside the table that may be orphaned.

A clean-up record is written before secret inputs are stored or a plan's stack is created. If the
process dies, reconcile finds the record after an hour and removes what it names.

The record of secret inputs goes in the transaction that creates their environment or accepts their
update. Forgetting an environment writes it again, because its teardown did not get to the secrets.
The record of a plan's stack goes after the stack (slipway.services.plans).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from slipway.aws import secret_inputs
from slipway.domain import ids, timestamps
from slipway.errors import Refused
from slipway.store import deadlines, idempotency, table
from slipway.store.table import Action, ConditionFailed, Delete, Item, Key, Put

if TYPE_CHECKING:
    from slipway.domain.records import EnvironmentRecord

SECRETS = "SECRETS"
# Values of secrets of levels (slipway.services.stored_secrets).
STORED = "SECRETS_STORED#"
PLAN = "PLAN#"
# By then, a request that stores secrets or creates a plan has ended, or its process has died.
_GRACE = timedelta(hours=1)
_DELETES_FOR = timedelta(seconds=20)


def secrets_may_be_orphaned(place: str, at: datetime | None = None) -> Put:
    """Write the clean-up record of the secret inputs at the place, due at `at`, in an hour if None.

    A place is an environment's id, or `<id>/<part>` for the secrets of an update.
    """
    at = at or timestamps.now() + _GRACE
    environment_id = place.partition("/")[0]
    item = {"id": environment_id, "place": place, **deadlines.due_fields(environment_id, at)}
    return Put(_key(place), item, condition=None)


def secrets_claimed(place: str) -> Delete:
    """Remove the clean-up record, because a record owns the secret inputs at the place."""
    return Delete(_key(place))


@contextmanager
def storing(place: str, secrets: Mapping[str, str], parts: dict[str, Action]) -> Iterator[None]:
    """Store secrets for a transaction, and remove them again if it fails.

    Adds the part that claims them to `parts`. If this process dies before the transaction,
    reconcile removes them. One round trip, and one for each secret. Raises DriverFault.
    """
    table.write(secrets_may_be_orphaned(place), aside=True)
    secret_inputs.write(place, secrets)
    parts["secrets"] = secrets_claimed(place)
    try:
        yield
    except (Refused, ConditionFailed, idempotency.Done):
        secret_inputs.remove(place, secrets)
        table.write(secrets_claimed(place), aside=True)
        raise


def remove_orphaned_secrets(note: Item, environment: EnvironmentRecord | None) -> bool:
    """Remove the secrets of a clean-up record that is due, if no record owns them. Of an
    environment that is gone, its configurations in the parameter store go with them.

    Returns whether they were orphaned. Repeating it changes nothing. Raises DriverFault.
    """
    # A clean-up record of an earlier release has no place.
    place = str(note.get("place", note["id"]))
    # An accepted update has no clean-up record, so an update's secrets are always orphaned here.
    of_update = place != note["id"]
    orphaned = of_update or environment is None or environment["status"] == "destroyed"
    if orphaned:
        secret_inputs.remove_all(place)
    if orphaned and not of_update:
        # Imported here, because few notes are about an environment that is gone.
        from slipway.aws import configurations

        if not configurations.remove_all(place, timestamps.now() + _DELETES_FOR):
            # The record is still due, so the next run goes on.
            return True
    table.write(Delete(Key(note["pk"], note["sk"])))
    return orphaned


def plan_may_be_orphaned(stack: str, note: str) -> Put:
    """Write the clean-up record of a plan's stack. Each attempt to create it has a note of its
    own, so that no attempt removes the record of another one."""
    item = {"stack": stack, **deadlines.due_fields(stack, timestamps.now() + _GRACE)}
    return Put(_plan(stack, note), item, condition=None)


def plan_deleted(stack: str, note: str) -> Delete:
    """Remove the clean-up record, because the stack of this note is gone."""
    return Delete(_plan(stack, note))


def delete_orphaned_plan(note: Item) -> None:
    """Delete a plan's stack. Repeating it changes nothing. Raises DriverFault, DriverRefused."""
    from slipway.drivers import stacks

    stacks.delete_plan(note["stack"])
    table.write(Delete(Key(note["pk"], note["sk"])))


def _plan(stack: str, note: str) -> Key:
    return Key(PLAN + stack.rpartition("-")[2], PLAN + note)


def _key(place: str) -> Key:
    environment_id, _, part = place.partition("/")
    of_update = f"#{part}" if part else ""
    return Key(f"ENV#{ids.parse_environment(environment_id).e}", SECRETS + of_update)
