"""When reconcile runs: every few minutes while any record has a deadline, else once a day.

Dispatch switches the rule on, reconcile switches it off, and neither waits for the other. They
share one item: before `awake_until` nobody switches it off; while `off_at` is there, it may be off.

    dispatch, after a change that leaves a deadline, unless it did so within five minutes:
        T   awake_until = in ten minutes
        E   switch on, if off_at is there
    reconcile, each time:
        C   awake_until is over
        L   the index is empty
        K   off_at = now
        D   switch off
        A   switch on, if awake_until is not what it was at C

No deadline is left with the rule off. For each change that makes one there is a T, its own or one
at most five minutes before dispatch came to it; so awake_until is five minutes later than the
change, or more. If that T was

    before C   awake_until was over, and the change five minutes old: the index, which lags behind
               the table, had caught up, and L saw it
    before A   A saw it, and switched on, after D
    after A    it saw off_at, and E came after D

Who dies on the way begins again: dispatch at T, because the stream brings the change again, and
reconcile at C, because Lambda calls it twice more; where C or L does not hold, it finds off_at,
and switches on. Only there off_at goes, once it is older than any reconcile that might be between
its K and its D.
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
# Longer than the index lags behind the table, and than a reconcile lives.
_GRACE = timedelta(minutes=5)

# Until when this process need not say again what it said.
_told: list[datetime] = []


def keep_awake() -> None:
    """Something has a deadline: have reconcile run. Repeating it changes nothing."""
    now = timestamps.now()
    if _told and now < _told[0]:
        return
    until = timestamps.written(now + _REMEMBERED + _GRACE)
    clock = table.write(Update(KEY, "SET awake_until = :until", {"until": until}, condition=""))
    if clock.get("off_at"):
        event_rule.on()
    _told[:] = [now + _REMEMBERED]


def rest() -> None:
    """Switch the rule off if nothing has a deadline, else see that it is on. Repeating it changes
    nothing."""
    clock = _read()
    seen, now = clock.get("awake_until"), timestamps.written(timestamps.now())
    if (seen and seen > now) or deadlines.is_any():
        _see_that_it_is_on(clock)
        return
    table.write(Update(KEY, "SET off_at = :now", {"now": now}, condition=""))
    event_rule.off()
    if _read().get("awake_until") != seen:
        event_rule.on()


def forget() -> None:
    """As a new process would be."""
    _told.clear()


def _read() -> Item:
    return table.get(KEY)[0] or {}


def _see_that_it_is_on(clock: Item) -> None:
    off_at = clock.get("off_at")
    if off_at is None:
        return
    event_rule.on()
    if datetime.fromisoformat(off_at) + _GRACE < timestamps.now():
        with suppress(ConditionFailed):
            table.write(Update(KEY, "REMOVE off_at", {"seen": off_at}, "off_at = :seen"))
