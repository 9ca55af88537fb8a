"""What may come to be nobody's: a note of it, which reconcile looks after.

That of secret inputs is written before them, and goes in the transaction that makes their
environment. It is written again in the one that forgets an environment, whose teardown did not get
to them. That of a plan's stack is written before it, too, and goes after it (slipway.plans).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from slipway import secret_inputs
from slipway.ids import EnvironmentId
from slipway.model import moments
from slipway.store import due, table
from slipway.store.table import Delete, Item, Key, Put

SECRETS = "SECRETS"
PLAN = "PLAN#"
# Whoever makes an environment or asks for a plan is long through by then, or dead.
_GRACE = timedelta(hours=1)


def note(environment: EnvironmentId, at: datetime | None = None) -> Put:
    """To be looked after at that moment, in an hour if None."""
    at = at or moments.now() + _GRACE
    item = {"id": str(environment), **due.by(str(environment), at)}
    return Put(_key(environment), item, condition=None)


def claimed(environment: EnvironmentId) -> Delete:
    return Delete(_key(environment))


def look_after(note: Item, its_record: Item | None) -> bool:
    """Remove what is nobody's; whether it was. Repeating it changes nothing. Raises DriverFault."""
    is_nobodys = its_record is None or its_record["status"] == "destroyed"
    if is_nobodys:
        secret_inputs.remove_all(note["id"])
    table.write(Delete(Key(note["pk"], note["sk"])))
    return is_nobodys


def note_of_plan(stack: str, note: str) -> Put:
    """Of the stack that is made next; another one for each attempt to make it."""
    item = {"stack": stack, **due.by(stack, moments.now() + _GRACE)}
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


def _key(environment: EnvironmentId) -> Key:
    return Key(f"ENV#{environment.e}", SECRETS)
