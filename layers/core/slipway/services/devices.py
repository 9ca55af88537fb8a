"""Devices: signing in where there is no browser, by a code that a person approves (RFC 8628).

The device asks for two codes. It shows the short one, which a person types in a session of the
platform, and asks with the other one until that person has decided. A stranger who asks gets
nothing but codes; what a person is shown before approving says who asks, from where and for what.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from slipway.access import attempts, signing
from slipway.access.principal import Principal
from slipway.domain import device, ids, timestamps
from slipway.domain.device import (
    DeviceCodes,
    DeviceGrant,
    DeviceRequest,
    DeviceStart,
    DeviceTokens,
)
from slipway.errors import Busy, NotFound, TooManyAttempts
from slipway.errors.device import (
    AccessDenied,
    AuthorizationPending,
    ClientUnknown,
    DeviceCodeExpired,
    DeviceCodeInvalid,
    DeviceDecided,
    GrantTypeUnsupported,
    ScopeInvalid,
    SlowDown,
)
from slipway.services import sessions as user_sessions
from slipway.settings import settings
from slipway.store import audit, family_records, sessions, table
from slipway.store import device_records as records
from slipway.store.device_records import DeviceCode
from slipway.store.sessions import UserSession
from slipway.store.table import ConditionFailed, Key, Transaction, TransactionFailed, Update

if TYPE_CHECKING:
    from slipway.domain.account_records import DeviceRecord

_PAGE = "/console/device"
_TRIES = 4
# RFC 8628, 3.5.
_SLOWER_SECONDS = 5


# --- the device -------------------------------------------------------------------------------


def begin(wanted: DeviceStart, address: str, base: str) -> DeviceCodes:
    """The codes of a new sign-in. `address` is the device's, `base` the platform's URL.

    Raises ClientUnknown, ScopeInvalid, TooManyAttempts, Busy. Two round trips.
    """
    _require_client(wanted.client_id)
    if wanted.scope:
        raise ScopeInvalid()
    attempts.begin_on_device(address)
    for _ in range(_TRIES):
        user_code = device.new_user_code()
        write, code = records.new(_part(user_code), address)
        try:
            table.write(write, aside=True)
        except ConditionFailed:
            # Another sign-in has this code.
            continue
        page, shown = base + _PAGE, device.shown(user_code)
        return DeviceCodes(
            device_code=code.text,
            user_code=shown,
            verification_uri=page,
            verification_uri_complete=f"{page}?user_code={shown}",
            expires_in=device.LASTS_SECONDS,
            interval=device.INTERVAL_SECONDS,
        )
    raise Busy(1)


def complete(wanted: DeviceGrant) -> DeviceTokens:
    """The tokens of a new session, if a person has approved the device's code.

    A code that is used again ends the session that it began, because either the device or a thief
    has used it before. Raises AuthorizationPending, SlowDown, AccessDenied, DeviceCodeExpired,
    DeviceCodeInvalid, ClientUnknown, GrantTypeUnsupported. Two round trips.
    """
    if wanted.grant_type != device.GRANT_TYPE:
        raise GrantTypeUnsupported()
    _require_client(wanted.client_id)
    code = records.parse(wanted.device_code)
    if code is None:
        raise DeviceCodeInvalid()
    [found] = table.get(code.key)
    record: DeviceRecord | None = found
    if not record or not records.is_of(record, code):
        raise DeviceCodeInvalid()
    if record["status"] == "redeemed":
        raise _used_again(record)
    if records.is_over(record):
        raise DeviceCodeExpired()
    if record["status"] == "denied":
        raise AccessDenied()
    if record["status"] == "pending":
        _poll(record, code)
        raise AuthorizationPending()
    return _begin_session(record, code)


def _poll(record: DeviceRecord, code: DeviceCode) -> None:
    """Note that the device has asked. Raises SlowDown if that was too soon. One round trip."""
    audit.finish()
    too_soon = records.asked_too_soon(record)
    interval = record["interval"] + (_SLOWER_SECONDS if too_soon else 0)
    try:
        table.write(records.poll(record, code.key, interval))
    except ConditionFailed as failed:
        if failed.found.get("status") != "pending":
            # A person has decided meanwhile, which the next request tells.
            return
        raise SlowDown(interval) from None
    if too_soon:
        raise SlowDown(interval)


def _begin_session(record: DeviceRecord, code: DeviceCode) -> DeviceTokens:
    """The tokens of the session that the approved code begins, once. One round trip."""
    user_id, email, generation = record["user_id"], record["email"], record["generation"]
    audit.note(actor=user_id, actor_name=email, target=user_id, name=email)
    audit.note(after={"device": record["asked_from"]})
    transaction = Transaction()
    if "session_ends_at" in record:
        account: Any = {"id": user_id, "generation": generation}
        family, first = family_records.new(account, record["session_ends_at"])
        session_id = first.part
        transaction.add("session", family)
        tokens = DeviceTokens(**user_sessions.tokens_of(first, generation).model_dump())
    else:
        session_id = ids.new_part()
        minted = signing.mint(user_id, generation, session_id)
        tokens = DeviceTokens(**minted.model_dump())
    still, values = UserSession(user_id, session_id, generation, 0, "").condition()
    transaction.add("device", records.redeem(code.key, session_id))
    transaction.check("owner", sessions.account_key(user_id), still, values)
    try:
        transaction.commit()
    except TransactionFailed as failed:
        if failed.get("device") is not None:
            raise _no_longer(failed["device"]) from None
        raise AccessDenied() from None
    return tokens


def _no_longer(found: Any) -> AccessDenied | DeviceCodeInvalid:
    """The refusal of a code that was approved when it was read, and is not any more."""
    if found.get("status") == "redeemed":
        return _used_again(found)
    return AccessDenied()


def _used_again(record: DeviceRecord) -> DeviceCodeInvalid:
    """The refusal of a code that was used before. Ends its session; one round trip."""
    audit.finish()
    ends = timestamps.now().timestamp() + settings().token_minutes * 60
    key = sessions.session_key(record["user_id"], record["session_id"])
    table.write(sessions.ending(key, ends))
    return DeviceCodeInvalid()


def _require_client(client_id: str) -> None:
    if client_id != device.CLIENT:
        raise ClientUnknown()


# --- the person -------------------------------------------------------------------------------


def look(principal: Principal, user_code: str) -> DeviceRequest:
    """The sign-in with this code. One round trip, two for a code that no device shows.

    Raises NotFound, Forbidden for a machine, TooManyAttempts.
    """
    record, _ = _find(principal, user_code)
    return _shown(record, user_code)


def approve(principal: Principal, user_code: str) -> DeviceRequest:
    """Let the device with this code have a session of the principal's; no-op if it is approved.

    Raises NotFound, DeviceDecided, Forbidden for a machine, TooManyAttempts. Two round trips.
    """
    own = user_sessions.of(principal)
    record, family = _find(principal, user_code, own.ended_key)
    if record["status"] == "denied":
        raise DeviceDecided()
    decision = {
        "status": "approved",
        "user_id": principal.user_id,
        "email": principal.name,
        "generation": own.generation,
    }
    # A session that only the company's sign-in keeps alive cannot begin one that lasts longer.
    if family and "company" not in family:
        decision["session_ends_at"] = family["ends_at"]
    return _decide(principal, user_code, record, decision)


def deny(principal: Principal, user_code: str) -> DeviceRequest:
    """Refuse a session to the device with this code; no-op if it is denied.

    What the principal has approved can be denied until the device has its session. Raises NotFound,
    Forbidden for a machine, TooManyAttempts. Two round trips.
    """
    record, _ = _find(principal, user_code)
    return _decide(principal, user_code, record, {"status": "denied", "user_id": principal.user_id})


def _decide(
    principal: Principal, user_code: str, record: DeviceRecord, decision: dict[str, Any]
) -> DeviceRequest:
    if record["status"] == decision["status"]:
        return _shown(record, user_code)
    change = "SET " + ", ".join(f"#{name} = :{name}" for name in decision)
    values = {**decision, "was": record["status"], "expires_at": record["expires_at"]}
    condition = "#status = :was AND expires_at = :expires_at"
    user_id = principal.user_id
    audit.note(target=user_id, name=principal.name, after={"device": record["asked_from"]})
    try:
        table.write(Update(_key(user_code), change, values, condition))
    except ConditionFailed as failed:
        # Somebody has decided, or the device has its session, meanwhile.
        found = _of(failed.found or None, principal)
        if found and found["status"] == decision["status"]:
            return _shown(found, user_code)
        raise _no_such() from None
    return _shown({**record, **decision}, user_code)  # type: ignore[typeddict-item]


def _find(principal: Principal, user_code: str, *keys: Key) -> tuple[DeviceRecord, Any]:
    """The sign-in with this code, and the item at the first of the keys. One round trip.

    Codes that no device shows are counted, so that nobody finds one by trying.
    """
    throttle = attempts.wrong_codes(principal.user_id)
    found, tried, *others = table.get(_key(user_code), throttle.key, *keys)
    if wait := throttle.wait(tried):
        raise TooManyAttempts(math.ceil(wait), attempts.WRONG_CODES)
    record = _of(found, principal)
    if record is None:
        attempts.wrong_code(principal.user_id)
        raise _no_such()
    return record, next(iter(others), None)


def _of(found: Any, principal: Principal) -> DeviceRecord | None:
    """The record, if the principal may see it: undecided, or decided by the principal."""
    record: DeviceRecord | None = found
    if not record or records.is_over(record) or record["status"] == "redeemed":
        return None
    if record["status"] != "pending" and record.get("user_id") != principal.user_id:
        return None
    return record


def _shown(record: DeviceRecord, user_code: str) -> DeviceRequest:
    return DeviceRequest.model_validate({**record, "user_code": device.shown(user_code)})


def _no_such() -> NotFound:
    return NotFound("No device shows this code, or no longer. Compare it, or begin again there.")


def _key(user_code: str) -> Key:
    return records.key(_part(user_code))


def _part(user_code: str) -> str:
    """The code as the table has it. Raises StoreUnavailable."""
    return signing.keyed_hash("user code", user_code)
