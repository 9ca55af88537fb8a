"""Timestamps are written so that they sort, and nothing expires early."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from slipway.domain import timestamps

some_moments = st.datetimes(
    min_value=datetime(1970, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)
)


@given(some_moments, some_moments)
def test_timestamps_sort_as_text_in_order_of_time(one: datetime, other: datetime) -> None:
    earlier, later = sorted([one, other])

    assert timestamps.written(earlier) <= timestamps.written(later)


@given(some_moments)
def test_a_timestamp_is_parsed_as_it_was_written(moment: datetime) -> None:
    cut = moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    assert datetime.fromisoformat(timestamps.written(cut)) == cut


def test_a_timestamp_is_written_in_utc_to_the_millisecond() -> None:
    moment = datetime(2026, 11, 23, 2, 2, 3, 456_789, tzinfo=timezone(timedelta(hours=1)))

    assert timestamps.written(moment) == "2026-11-23T01:02:03.456Z"
    assert timestamps.written(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"


def test_the_present_has_no_more_digits_than_are_written() -> None:
    now = timestamps.now()

    assert datetime.fromisoformat(timestamps.written(now)) == now
    assert now.tzinfo is UTC


@given(some_moments)
def test_a_ttl_is_never_before_the_timestamp(moment: datetime) -> None:
    seconds = timestamps.epoch(moment)

    assert 0 <= seconds - moment.timestamp() < 1


def test_hours_may_be_fractions() -> None:
    start = datetime(2026, 11, 23, tzinfo=UTC)

    assert timestamps.hours_after(start, 0.002) - start == timedelta(seconds=7.2)
    assert timestamps.hours_after(start, 24) - start == timedelta(days=1)
