"""What may come to be nobody's: a note of it, which reconcile looks after.

That of secret inputs is written before them, and goes in the transaction that makes their
environment or accepts their update. It is written again in the one that forgets an environment,
whose teardown did not get to them. That of a plan's stack is written before it, too, and goes
after it (slipway.services.plans).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from slipway.aws import secret_inputs
from slipway.domain import ids, timestamps
from slipway.domain.records import EnvironmentRecord
from slipway.store import deadlines, table
from slipway.store.table import Delete, Item, Key, Put

SECRETS = "SECRETS"
PLAN = "PLAN#"
# Whoever makes an environment or asks for a plan is long through by then, or dead.
_GRACE = timedelta(hours=1)


def note(place: str, at: datetime | None = None) -> Put:
    """Of secret inputs, to be looked after at that moment, in an hour if None."""
    at = at or timestamps.now() + _GRACE
    environment_id = place.partition("/")[0]
    item = {"id": environment_id, "place": place, **deadlines.by(environment_id, at)}
    return Put(_key(place), item, condition=None)


def claimed(place: str) -> Delete:
    """They are somebody's."""
    return Delete(_key(place))


def look_after(note: Item, its_record: EnvironmentRecord | None) -> bool:
    """Remove what is nobody's; whether it was. Repeating it changes nothing. Raises DriverFault.

    An update that was accepted has no note any more, so what it is of is nobody's.
    """
    # One that was written by an earlier release has no place of its own.
    place = str(note.get("place", note["id"]))
    is_of_update = place != note["id"]
    is_nobodys = is_of_update or its_record is None or its_record["status"] == "destroyed"
    if is_nobodys:
        secret_inputs.remove_all(place)
    table.write(Delete(Key(note["pk"], note["sk"])))
    return is_nobodys


def note_of_plan(stack: str, note: str) -> Put:
    """Of the stack that is made next; another one for each attempt to make it."""
    item = {"stack": stack, **deadlines.by(stack, timestamps.now() + _GRACE)}
    return Put(_plan(stack, note), item, condition=None)


def is_planned(stack: str, note: str) -> Delete:
    """The stack of this note is gone."""
    return Delete(_plan(stack, note))


def delete_plan(note: Item) -> None:
    """Repeating it changes nothing. Raises DriverFault, DriverRefused."""
    from slipway.drivers import stacks

    stacks.delete_plan(note["stack"])
    table.write(Delete(Key(note["pk"], note["sk"])))


def _plan(stack: str, note: str) -> Key:
    return Key(PLAN + stack.rpartition("-")[2], PLAN + note)


def _key(place: str) -> Key:
    environment_id, _, part = place.partition("/")
    of_update = f"#{part}" if part else ""
    return Key(f"ENV#{ids.parse_environment(environment_id).e}", SECRETS + of_update)
