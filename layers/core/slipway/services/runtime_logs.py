"""The lines that an environment's own functions write, read from CloudWatch Logs.

slipway.domain.following says how they are followed. Each line is masked before anything else is
done with it: a filter that saw the line itself would say whether a guess of a secret is right.

AWS bounds how often logs can be searched, for a whole account. Each search counts as SEARCH more
requests of the caller, so that nobody gets more than a part of what AWS allows.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from slipway.access import authorization
from slipway.domain import following, timestamps
from slipway.domain.following import LogEvent, Place, Taken
from slipway.domain.paging import Page
from slipway.domain.runtime_log import RuntimeLine, RuntimeLogQuery, mapped, moment, parse
from slipway.services import known_secrets, runtime_sources
from slipway.store import deployment_records, rates, source_records, table
from slipway.store.table import Query

if TYPE_CHECKING:
    from slipway.access.principal import Principal
    from slipway.aws.log_groups import Found
    from slipway.domain.ids import EnvironmentId
    from slipway.domain.masking import Masker
    from slipway.domain.records import DeploymentRecord, EnvironmentRecord

# With 600 requests a minute, two searches a second are one caller's.
SEARCH = 5
# Lines of an hour, unless the caller says since when.
_BEFORE = 3_600_000
# How many lines that do not contain what is looked for are passed over in one request.
_MOST_PASSED = 5_000
# How many characters one answer has at most, about.
_MOST_TEXT = 1_000_000
# A line that was written before the end may be found so much later.
_STILL = following.OVERLAP + following.SETTLES
# How many of the newest deployments are known by which a line may have been written.
_DEPLOYMENTS = 10


def read(
    environment: EnvironmentId, principal: Principal, wanted: RuntimeLogQuery
) -> Page[RuntimeLine]:
    """A page of the lines, in the order in which CloudWatch received them.

    The page has a cursor as long as lines may come. One round trip to the table; calls of
    CloudFormation, Lambda and the parameter store for what this process does not know; then one to
    eight searches for each function. Raises NotFound, Invalid, LogsBusy, DriverFault.
    """
    own = authorization.keys(environment, principal)
    history = Query(
        f"ENV#{environment.e}", deployment_records.PREFIX, _DEPLOYMENTS, newest_first=True
    )
    [*found, kept], [(deployments, _)] = table.read(
        [*own, source_records.key(environment)], history
    )
    record = authorization.authorized(environment, principal, found)
    now = int(time.time() * 1000)
    place = _place(wanted, now)
    sources = runtime_sources.of(record, kept, wanted.source)
    searched = list(_searched(sources, place, wanted))
    lines = _Lines(wanted, known_secrets.masker(record), deployments)
    taken = lines.take(searched, place, now)
    ended = _has_ended(record, wanted, now) and not taken.more
    return Page(
        lines.shown,
        None if ended else str(taken.place),
        [str(each) for each in lines.places],
        more=taken.more,
    )


def _place(wanted: RuntimeLogQuery, now: int) -> Place:
    if (after := wanted.after) is not None:
        return Place.parse(after)
    return Place.beginning(_milliseconds(wanted.since) if wanted.since else now - _BEFORE)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _searched(
    sources: Sequence[runtime_sources.Source], place: Place, wanted: RuntimeLogQuery
) -> Iterator[Found]:
    # Imported here, because a simulated environment has no functions.
    from slipway.aws import log_groups

    until = _milliseconds(wanted.until) if wanted.until else None
    for source in sources:
        found = log_groups.search(source.group, source.name, place, until)
        rates.charge(found.calls * SEARCH)
        yield found


class _Lines:
    """The lines of one page. `shown` are those that the caller gets, `places` those behind them."""

    def __init__(
        self, wanted: RuntimeLogQuery, masker: Masker, deployments: Sequence[DeploymentRecord]
    ) -> None:
        self.shown: list[RuntimeLine] = []
        self.places: list[Place] = []
        self._wanted = wanted
        self._masker = masker
        live = [each for each in deployments if each["status"] == "succeeded"]
        self._live = sorted((each["finished_at"], each["id"]) for each in live)
        self._since = [since for since, _ in self._live]

    def take(self, searched: Sequence[Found], place: Place, now: int) -> Taken:
        """Fill the page from what was found. Returns what was taken last."""
        events = [event for each in searched for event in each.events]
        known = min((each.known for each in searched if each.known is not None), default=None)
        limit, text, passed = self._wanted.limit, 0, 0
        while True:
            some = limit - len(self.shown)
            taken = following.take(events, place, now=now, known=known, limit=some)
            for event, behind in zip(taken.events, taken.places, strict=True):
                if line := self._line(event):
                    self.shown.append(line)
                    self.places.append(behind)
                    text += len(event.text)
                if text > _MOST_TEXT:
                    return Taken([], [], behind, more=True)
            passed += len(taken.events)
            is_full = len(self.shown) == limit or passed > _MOST_PASSED
            if is_full or len(taken.events) < some:
                return taken
            place = taken.place

    def _line(self, event: LogEvent) -> RuntimeLine | None:
        """The line as it is shown, None if it does not contain what the caller looks for."""
        if not self._may_contain(event.text):
            return None
        text = self._masker.text(event.text)
        parsed = parse(text)
        # Only an escape in JSON can hide a secret from the first look.
        if "\\" in text:
            parsed = parsed._replace(
                message=self._masker.text(parsed.message),
                fields=mapped(parsed.fields, self._masker.text),
            )
        else:
            parsed = parsed._replace(fields=mapped(parsed.fields, str))
        line = RuntimeLine(
            ts=moment(event.order.at),
            source=event.order.source,
            deployment_id=self._deployment(event.order.at),
            **parsed._asdict(),
        )
        return line if self._wanted.accepts(line, text) else None

    def _may_contain(self, text: str) -> bool:
        """Whether the masked line may contain what the caller looks for: masking takes time."""
        sought = self._wanted.filter
        return sought is None or sought in text or "\\" in text or "*" in sought

    def _deployment(self, at: int) -> str | None:
        """The deployment that was live at this time, if it is among those that are known."""
        written = timestamps.written(moment(at))
        before = bisect_right(self._since, written)
        return self._live[before - 1][1] if before else None


def _has_ended(record: EnvironmentRecord, wanted: RuntimeLogQuery, now: int) -> bool:
    """Whether no line can come any more that is wanted."""
    if wanted.until and _milliseconds(wanted.until) + _STILL < now:
        return True
    ended = record.get("destroyed_at")
    if ended is None:
        return False
    return _milliseconds(datetime.fromisoformat(ended)) + _STILL < now
