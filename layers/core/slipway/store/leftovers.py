"""Secret inputs that may come to be nobody's: a note of them, which reconcile looks after.

The note is written before the secrets, and goes in the transaction that makes their environment. It
is written again in the one that forgets an environment, whose teardown did not get to them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from slipway import secret_inputs
from slipway.ids import EnvironmentId
from slipway.model import moments
from slipway.store import due, table
from slipway.store.table import Delete, Item, Key, Put

SECRETS = "SECRETS"
# Whoever makes an environment is long through by then, or dead.
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


def _key(environment: EnvironmentId) -> Key:
    return Key(f"ENV#{environment.e}", SECRETS)
