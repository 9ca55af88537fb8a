"""Lines that arrive late, out of order, and are found later still: none is lost, none repeated."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from slipway.domain.following import (
    FRESH,
    OVERLAP,
    SETTLES,
    LogEvent,
    Order,
    Place,
    begins,
    take,
)
from slipway.errors import Invalid

NOW = 1_800_000_000_000


@dataclass(frozen=True)
class Line:
    """A line, and when it can be found."""

    event: LogEvent
    found: int


def line(n: int, at: int, late: int = 0, unseen: int = 0, source: str = "Web") -> Line:
    event = LogEvent(Order(at + late, at, f"{n:056}", source), f"line {n}")
    return Line(event, at + late + unseen)


def searched(lines: list[Line], place: Place, now: int) -> list[LogEvent]:
    """What a search from the place finds at this moment."""
    start = begins(place)
    return [each.event for each in lines if each.event.order.at >= start and each.found <= now]


def texts(events: list[LogEvent]) -> list[str]:
    return [each.text for each in events]


@pytest.mark.parametrize("seed", range(12))
def test_followers_get_each_line_once_whatever_comes_late(seed: int) -> None:
    chance = random.Random(seed)
    written = [
        line(
            n,
            NOW + chance.randrange(60_000),
            late=chance.choice([0, 5, 900, 40_000, OVERLAP]),
            unseen=chance.choice([0, 0, 300, SETTLES - 1]),
            source=chance.choice(["Web", "Worker"]),
        )
        for n in range(2_000)
    ]
    place, now, had = Place.beginning(NOW), NOW, []

    while now < NOW + 60_000 + OVERLAP + 3 * SETTLES:
        now += chance.randrange(1, 1_500)
        taken = take(
            searched(written, place, now), place, now=now, known=None, limit=chance.randint(1, 100)
        )
        had += texts(taken.events)
        # The reader may have got only some of them: it goes on after the last that it got.
        got = chance.randint(0, len(taken.events))
        if taken.events and got < len(taken.events):
            had = had[: len(had) - len(taken.events) + got]
            place = taken.places[got - 1] if got else place
        else:
            place = taken.place
        place = Place.parse(str(place))
        assert len(place.seen) <= FRESH

    assert len(had) == len(set(had))
    assert sorted(had) == sorted(texts([each.event for each in written]))


def test_a_quiet_log_is_shown_at_once() -> None:
    lines = [line(1, NOW), line(2, NOW + 1)]

    taken = take(
        [each.event for each in lines], Place.beginning(NOW), now=NOW + 2, known=None, limit=9
    )

    assert texts(taken.events) == ["line 1", "line 2"]
    assert taken.more is False


def test_of_a_busy_log_the_newest_lines_come_a_little_later() -> None:
    lines = [line(n, NOW + n).event for n in range(FRESH * 3)]
    place = Place.beginning(NOW)

    first = take(lines, place, now=NOW + 500, known=None, limit=100)
    soon = take(lines, first.place, now=NOW + 600, known=None, limit=100)
    settled = take(lines, first.place, now=NOW + 500 + SETTLES, known=None, limit=100)

    assert [len(each.events) for each in (first, soon, settled)] == [FRESH, 0, FRESH * 2]
    assert texts([*first.events, *settled.events]) == texts(lines)


def test_a_line_that_was_received_earlier_and_is_found_later_is_not_missed() -> None:
    early, late = line(1, NOW, unseen=8_000), line(2, NOW + 5_000)
    place = Place.beginning(NOW)

    first = take(
        searched([early, late], place, NOW + 5_001), place, now=NOW + 5_001, known=None, limit=9
    )
    then = first.place
    second = take(
        searched([early, late], then, NOW + 8_001), then, now=NOW + 8_001, known=None, limit=9
    )

    assert (texts(first.events), texts(second.events)) == (["line 2"], ["line 1"])


def test_only_what_is_known_whole_is_taken_of_a_partial_search() -> None:
    lines = [line(n, NOW + 100 * n).event for n in range(10)]
    place = Place.beginning(NOW)

    taken = take(lines, place, now=NOW + 10 * SETTLES, known=NOW + 450, limit=100)

    assert texts(taken.events) == [f"line {n}" for n in range(5)]
    assert (taken.more, taken.place.after.received) == (True, NOW + 450)


def test_a_place_without_lines_moves_on_with_time_but_not_each_time() -> None:
    place = Place.beginning(NOW)

    soon = take([], place, now=NOW + 30_000, known=None, limit=9)
    later = take([], place, now=NOW + 3_600_000, known=None, limit=9)

    assert soon.place == place
    assert later.place.after.received == NOW + 3_600_000 - SETTLES
    assert begins(later.place) == NOW + 3_600_000 - SETTLES - OVERLAP


def test_lines_before_the_beginning_never_come() -> None:
    place = Place.beginning(NOW)
    for _ in range(3):
        assert begins(place) == NOW
        place = take([line(1, NOW + 5).event], place, now=NOW + 6, known=None, limit=9).place


def test_a_cursor_fits_into_an_address() -> None:
    lines = [line(n, NOW + n, source="W" * 255).event for n in range(100)]

    taken = take(lines, Place.beginning(NOW), now=NOW + 200, known=None, limit=100)

    assert len(taken.place.seen) == FRESH
    assert len(str(taken.place)) * 4 / 3 < 1000


@pytest.mark.parametrize(
    "text",
    [
        *("", "|", "|||||", "a|1|1|x|y|", "1|2|3|4|5", "-1|1|1|||", "1|1|1|x|y|abc"),
        *("9|1|1|||" + "a" * 11, "²|1|1|||", "99999999999|1|1|||", f"{'9' * 30}|1|1|||"),
    ],
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Place.parse(text)
