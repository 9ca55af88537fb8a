"""Device records: sign-ins on a device, which a person approves (slipway.services.devices).

A record's key is a keyed hash of its user code, which is short enough to be guessed from a plain
one; nobody without the signing secret can tell the code from the key. The device's own code has
the key and a secret, of which the record has the digest.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, NamedTuple

from slipway.domain import credentials, timestamps
from slipway.domain.device import CLIENT, INTERVAL_SECONDS, LASTS_SECONDS
from slipway.store import account_records
from slipway.store.table import Key, Put, Update

if TYPE_CHECKING:
    from slipway.domain.account_records import DeviceRecord

# A sign-in that was carried out is remembered a little, to tell when its code is used again.
_KEPT_SECONDS = 24 * 3600
_CODE = re.compile(r"([\w-]{24})\.([0-9A-Za-z]{43})", re.ASCII)
_SECRET_LETTERS = 43


class DeviceCode(NamedTuple):
    """A device's code: its record's part of the key, and its secret."""

    part: str
    secret: str

    @property
    def text(self) -> str:
        return f"{self.part}.{self.secret}"

    @property
    def key(self) -> Key:
        return key(self.part)


def key(part: str) -> Key:
    """The key of the record; `part` is the keyed hash of its user code."""
    return Key(f"DEVICE#{part}", "DEVICE")


def parse(text: str) -> DeviceCode | None:
    """The device's code that the text is, None if it cannot be one. Nothing is looked up."""
    found = _CODE.fullmatch(text)
    return DeviceCode(found[1], found[2]) if found else None


def new(part: str, address: str) -> tuple[Put, DeviceCode]:
    """The write of a new sign-in from the address, and the device's code."""
    code = DeviceCode(part, credentials.new_secret(_SECRET_LETTERS))
    now = timestamps.now()
    ends = timestamps.hours_after(now, LASTS_SECONDS / 3600)
    record: DeviceRecord = {
        "secret_digest": account_records.digest(code.secret),
        "status": "pending",
        "client_id": CLIENT,
        "asked_from": address,
        "asked_at": timestamps.written(now),
        "expires_at": timestamps.written(ends),
        "interval": INTERVAL_SECONDS,
        "ttl": timestamps.epoch(ends) + _KEPT_SECONDS,
    }
    return Put(code.key, record), code


def is_of(record: DeviceRecord, code: DeviceCode) -> bool:
    """Whether the record has this device's code."""
    return hmac.compare_digest(account_records.digest(code.secret), record["secret_digest"])


def is_over(record: DeviceRecord) -> bool:
    """Whether the time for the sign-in is up."""
    return record["expires_at"] <= timestamps.written(timestamps.now())


def asked_too_soon(record: DeviceRecord) -> bool:
    """Whether the device has asked within the interval before."""
    last = record.get("polled_at")
    return last is not None and timestamps.now().timestamp() < last / 1000 + record["interval"]


def poll(record: DeviceRecord, key: Key, interval: int) -> Update:
    """The write that notes that the device has asked. It fails if another request has done so."""
    values = {"now": int(timestamps.now().timestamp() * 1000), "interval": interval}
    condition = "#status = :pending AND attribute_not_exists(polled_at)"
    if "polled_at" in record:
        condition = "#status = :pending AND polled_at = :was"
        values |= {"was": record["polled_at"]}
    return Update(
        key,
        "SET polled_at = :now, #interval = :interval",
        {**values, "pending": "pending"},
        condition,
    )


def redeem(key: Key, session_id: str) -> Update:
    """The write after which the device's code is used. It fails unless it is approved."""
    values = {"redeemed": "redeemed", "approved": "approved", "session": session_id}
    return Update(
        key, "SET #status = :redeemed, session_id = :session", values, "#status = :approved"
    )
