"""FilterLogEvents returns ids, pages with tokens, and refuses what AWS refuses.

Defects: the stock answer has no `eventId` for a function's lines and a random one for others, cuts
what is beyond `limit` off without a `nextToken`, and takes any limit and token. The rules are those
of the operation in botocore's model: the order is by an event's time, then its ingestion, and an
answer has 10,000 events or 1 MB at most. The refusals have the words of LocalStack's recording logs
test_logs_filter_events. An id has 56 digits and grows with the order of writing, as those in AWS's
examples do.
"""

import base64
import heapq
import itertools
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Any

MOST = 10_000
MOST_BYTES = 1_048_576
OVERHEAD = 26  # bytes that AWS counts for each event
Event = dict[str, Any]
Key = tuple[int, int, str]

_numbers = itertools.count(1)


def patch(module: Any) -> None:
    append = module._append_log_events

    def append_with_ids(stream: dict[str, Any], events: list[Event]) -> None:
        for event in events:
            event["eventId"] = f"{event['timestamp']:014}{next(_numbers):042}"
        append(stream, events)

    def filter_log_events(data: dict[str, Any]) -> Any:
        group, limit = module._resolve_log_group_name(data), data.get("limit") or MOST
        if limit > MOST:
            return module.error_response_json(
                "InvalidParameterException",
                f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy "
                f"constraint: Member must have value less than or equal to {MOST}",
                400,
            )
        if group not in module._log_groups:
            return module.error_response_json(
                "ResourceNotFoundException", "The specified log group does not exist.", 400
            )
        try:
            after = _parsed(data.get("nextToken"))
        except ValueError:
            return module.error_response_json(
                "InvalidParameterException", "The specified nextToken is invalid.", 400
            )
        matches = module._compile_filter_pattern(data.get("filterPattern", ""))
        with module._log_events_lock:
            found = list(_found(module._log_groups[group]["streams"], data))
        return module.json_response(_page(found, after, limit, matches))

    module._append_log_events = append_with_ids
    module._filter_log_events = filter_log_events


def _found(streams: dict[str, Any], data: dict[str, Any]) -> Iterable[Event]:
    """The events of the streams and times that are asked for, in order."""
    names, prefix = data.get("logStreamNames"), data.get("logStreamNamePrefix", "")
    begin, end = data.get("startTime"), data.get("endTime")
    chosen = []
    for name, stream in streams.items():
        if (names and name not in names) or not name.startswith(prefix):
            continue
        events = stream["events"]
        first = 0 if begin is None else bisect_left(events, begin, key=_timestamp)
        last = len(events) if end is None else bisect_right(events, end, key=_timestamp)
        own = [{**event, "logStreamName": name} for event in events[first:last]]
        chosen.append(sorted(own, key=_key))
    return heapq.merge(*chosen, key=_key)


def _page(
    found: list[Event], after: Key | None, limit: int, matches: Callable[[str], bool]
) -> dict[str, Any]:
    page: list[Event] = []
    size = 0
    for event in found:
        if (after is not None and _key(event) <= after) or not matches(event["message"]):
            continue
        size += len(event["message"].encode()) + OVERHEAD
        if page and (len(page) == limit or size > MOST_BYTES):
            return {"events": page, "searchedLogStreams": [], "nextToken": _token(page[-1])}
        page.append(event)
    return {"events": page, "searchedLogStreams": []}


def _timestamp(event: Event) -> int:
    return int(event["timestamp"])


def _key(event: Event) -> Key:
    return event["timestamp"], event["ingestionTime"], event["eventId"]


def _token(event: Event) -> str:
    return base64.b64encode(json.dumps(_key(event)).encode()).decode()


def _parsed(token: str | None) -> Key | None:
    """Raises ValueError."""
    if token is None:
        return None
    at, received, id_ = json.loads(base64.b64decode(token, validate=True))
    return int(at), int(received), str(id_)


TARGETS = {"ministack.services.cloudwatch_logs": patch}
