"""FilterLogEvents: ids, tokens, order and refusals (patches/log_searches.py)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.platform import Platform
from tests.support.local.lambdas import function

CODE = {
    "app.py": """
def handler(event, context):
    print("one")
    print("two")
"""
}


@pytest.fixture
def group(platform: Platform) -> Iterator[str]:
    logs, name = platform.client("logs"), f"searched-{time.time_ns()}"
    logs.create_log_group(logGroupName=name)
    for stream in ("a", "b"):
        logs.create_log_stream(logGroupName=name, logStreamName=stream)
    yield name
    logs.delete_log_group(logGroupName=name)


def put(platform: Platform, group: str, stream: str, *events: tuple[int, str]) -> None:
    told = [{"timestamp": at, "message": message} for at, message in events]
    platform.client("logs").put_log_events(logGroupName=group, logStreamName=stream, logEvents=told)


def pages(platform: Platform, group: str, **more: Any) -> list[list[str]]:
    found, logs = [], platform.client("logs")
    while True:
        page = logs.filter_log_events(logGroupName=group, **more)
        found.append([event["message"] for event in page["events"]])
        if "nextToken" not in page:
            return found
        more["nextToken"] = page["nextToken"]


def test_events_of_all_streams_are_in_order_and_paged_by_tokens(
    platform: Platform, group: str
) -> None:
    now = int(time.time() * 1000)
    put(platform, group, "a", (now + 1, "1"), (now + 3, "3"), (now + 3, "4"))
    put(platform, group, "b", (now, "0"), (now + 2, "2"))

    assert pages(platform, group, limit=2) == [["0", "1"], ["2", "3"], ["4"]]
    assert pages(platform, group, startTime=now + 1, endTime=now + 2) == [["1", "2"]]
    assert pages(platform, group, logStreamNames=["b"]) == [["0", "2"]]


def test_an_event_has_one_id_and_a_late_one_is_told_by_its_ingestion(
    platform: Platform, group: str
) -> None:
    logs, now = platform.client("logs"), int(time.time() * 1000)
    put(platform, group, "a", (now, "in time"), (now, "as well"))
    put(platform, group, "b", (now - 60_000, "late"))

    first = logs.filter_log_events(logGroupName=group)["events"]
    again = logs.filter_log_events(logGroupName=group)["events"]

    assert first == again
    assert [event["message"] for event in first] == ["late", "in time", "as well"]
    ids = [event["eventId"] for event in first]
    assert len({*ids}) == 3 and all(len(each) == 56 and each.isdecimal() for each in ids)
    assert first[0]["ingestionTime"] >= now
    assert ids[1] < ids[2]


def test_a_page_has_a_megabyte_at_most(platform: Platform, group: str) -> None:
    now = int(time.time() * 1000)
    for n in range(3):
        put(platform, group, "a", (now + 2 * n, "x" * 200_000), (now + 2 * n + 1, "y" * 200_000))

    assert [len(page) for page in pages(platform, group)] == [5, 1]


def test_lines_of_a_function_are_found_with_ids(platform: Platform) -> None:
    with function(platform, CODE) as made:
        made.invoke({})
        found = platform.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{made.name}")

    told = [event["message"] for event in found["events"] if event["message"] in ("one", "two")]
    assert told == ["one", "two"]
    assert all(event["eventId"].isdecimal() for event in found["events"])


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (
            {"limit": 10_001},
            "InvalidParameterException",
            "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: "
            "Member must have value less than or equal to 10000",
        ),
        (
            {"nextToken": "unknown"},
            "InvalidParameterException",
            "The specified nextToken is invalid.",
        ),
        (
            {"logGroupName": "no-such-group"},
            "ResourceNotFoundException",
            "The specified log group does not exist.",
        ),
    ],
)
def test_what_aws_refuses_is_refused_in_its_words(
    platform: Platform, group: str, more: dict[str, Any], code: str, message: str
) -> None:
    with pytest.raises(ClientError) as refused:
        platform.client("logs").filter_log_events(**{"logGroupName": group, **more})

    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["Error"]["Message"] == message
