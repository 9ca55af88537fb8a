"""The schedule of reconcile: every few minutes while a record has a deadline, otherwise daily.

Dispatch switches the rule on, reconcile switches it off, and neither waits for the other. They
share one item: until `awake_until` the rule is not switched off, and it may be off only while the
item has `off_at`.

    dispatch, after a change that sets a deadline, unless it did this in the last five minutes:
        T   awake_until = in ten minutes
        E   switch on, if the item has off_at
    reconcile, each time:
        C   require that awake_until has passed
        L   require that the index is empty
        K   off_at = now
        D   switch off
        A   switch on, if awake_until has changed since C

While a deadline exists, the rule does not stay off. Each change that sets a deadline has a T: its
own, or one at most five minutes before dispatch handled it. So awake_until is at least five minutes
after the change. There are three cases for this T:

    before C   awake_until had passed, so the change was five minutes old. The index, which lags
               behind the table, had caught up, and L found the deadline.
    before A   A saw the new awake_until, and switched on after D.
    after A    Dispatch saw off_at after T, so E came after D.

A process that dies starts over: dispatch at T, because the stream delivers the change again, and
reconcile at C, because Lambda retries it twice. If C or L does not hold, reconcile finds off_at and
switches the rule on. Only then does it remove off_at, once that is older than any reconcile that
could be between K and D.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from slipway.aws import event_rule
from slipway.domain import timestamps
from slipway.store import deadlines, table
from slipway.store.table import ConditionFailed, Item, Key, Update

KEY = Key("CLOCK", "CLOCK")
_REMEMBERED = timedelta(minutes=5)
# Longer than the index lags behind the table, and longer than a run of reconcile.
_GRACE = timedelta(minutes=5)

# The time until which this process need not write awake_until again.
_awake: list[datetime] = []


def keep_awake() -> None:
    """Let reconcile run, because a record has a deadline. Repeating it changes nothing.

    One round trip in five minutes, and one to EventBridge if the rule may be off.
    """
    now = timestamps.now()
    if _awake and now < _awake[0]:
        return
    until = timestamps.written(now + _REMEMBERED + _GRACE)
    clock = table.write(Update(KEY, "SET awake_until = :until", {"until": until}, condition=""))
    if clock.get("off_at"):
        event_rule.on()
    _awake[:] = [now + _REMEMBERED]


def rest() -> None:
    """Switch the rule off if no record has a deadline; otherwise ensure that it is on.

    Repeating it changes nothing.
    """
    clock = _read()
    seen, now = clock.get("awake_until"), timestamps.written(timestamps.now())
    if (seen and seen > now) or deadlines.any_due():
        _ensure_on(clock)
        return
    table.write(Update(KEY, "SET off_at = :now", {"now": now}, condition=""))
    event_rule.off()
    if _read().get("awake_until") != seen:
        event_rule.on()


def forget() -> None:
    """Clear the cache, as a new process would start; for tests."""
    _awake.clear()


def _read() -> Item:
    return table.get(KEY)[0] or {}


def _ensure_on(clock: Item) -> None:
    off_at = clock.get("off_at")
    if off_at is None:
        return
    event_rule.on()
    if datetime.fromisoformat(off_at) + _GRACE < timestamps.now():
        with suppress(ConditionFailed):
            table.write(Update(KEY, "REMOVE off_at", {"seen": off_at}, "off_at = :seen"))
