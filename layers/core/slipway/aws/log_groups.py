"""Searches the log groups of environments' functions (CloudWatch Logs, FilterLogEvents).

AWS takes about five searches a second of an account and Region and raises that limit for nobody, so
callers of Slipway are charged for each (slipway.services.runtime_logs), and each request makes few.

An answer has up to 10,000 events or 1 MB in the order of their own times, then of their reception.
It may be partly full or empty although there are more, which its token says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from slipway import aws
from slipway.domain.following import OVERLAP, SKEW, LogEvent, Order, Place, begins
from slipway.errors import DriverFault, DriverRefused, LogsBusy

# A group that writes more than the answers hold within an overlap is searched with a shorter one:
# each overlap, and how many answers are read. Without any, only lines that come in order are found.
# A group comes to that if it writes two answers, 2 MB, within two seconds.
_ATTEMPTS = ((OVERLAP, 1), (30_000, 1), (SKEW, 2), (0, 4))
_RETRY_SECONDS = 5


@dataclass
class Found:
    """What a search has found. `known`: until when all lines are there, by their reception; None if
    the search came to its end. `calls` have been made. `is_gone`: the group does not exist."""

    events: list[LogEvent] = field(default_factory=list)
    known: int | None = None
    calls: int = 0
    is_gone: bool = False


def search(group: str, source: str, place: Place, until: int | None) -> Found:
    """The lines of the group behind the place, or a part of them that goes beyond it.

    Raises LogsBusy if AWS throttles, DriverFault.
    """
    found = Found()
    for overlap, most in _ATTEMPTS:
        some = _range(group, source, place, (begins(place, overlap), until), most)
        # A line cannot have been received much before it was written.
        known = None if some.known is None else some.known - min(SKEW, overlap)
        found = Found(some.events, known, found.calls + some.calls, some.is_gone)
        if found.known is None or found.known > place.after.received:
            return found
    return found


def _range(
    group: str, source: str, place: Place, times: tuple[int, int | None], most: int
) -> Found:
    """The lines of these times, of so many answers at most. `known`: the time of the last line."""
    found, last = Found(), None
    for page in _pages(group, times):
        found.calls += 1
        if page is None:
            found.is_gone = True
            return found
        found.events += [
            _event(source, each)
            for each in page["events"]
            if each["ingestionTime"] >= place.after.received
        ]
        last = page["events"][-1]["timestamp"] if page["events"] else last
        if not page.get("nextToken"):
            return found
        if found.calls == most:
            break
    found.known = times[0] if last is None else last
    return found


def _pages(group: str, times: tuple[int, int | None]) -> Iterator[Any]:
    """The answers; None if there is no such group."""
    request: dict[str, Any] = {"logGroupName": group, "startTime": times[0]}
    if times[1] is not None:
        request["endTime"] = times[1]
    while True:
        try:
            page = aws.call("logs", "filter_log_events", **request)
        except DriverRefused as error:
            if error.says("does not exist"):
                yield None
                return
            raise DriverFault(f"CloudWatch Logs did not answer: {error}") from error
        except DriverFault as error:
            if "Throttl" in str(error):
                raise LogsBusy(_RETRY_SECONDS) from error
            raise
        yield page
        request["nextToken"] = page["nextToken"]


def _event(source: str, event: Any) -> LogEvent:
    at, received = event["timestamp"], event["ingestionTime"]
    return LogEvent(Order(received, at, event["eventId"], source), event["message"])
