"""Waiting: `Prefer: wait=20` (RFC 7240) on a GET, until there is something else to answer.

A request waits for what its query names (`wait_for`), for another representation than the one in
`If-None-Match`, or for the next line of a log. It reads again and again, with growing pauses, as
the route does anyway: the caller's session and role are checked each time, so that a wait ends with
the right to it. Nothing is held open between two reads but the request itself.

How many may wait is bounded (slipway.store.waits). One too many is answered at once, with
`Preference-Applied: wait=0`. Only requests that prefer to wait import this module.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from slipway.access.principal import Principal
from slipway.domain.fields import QueryModel, ResponseModel
from slipway.domain.paging import Page
from slipway.domain.preconditions import IfMatch
from slipway.errors import LogsBusy
from slipway.http import binding
from slipway.http.responses import EVENTS, STREAM_HEADERS, RawResponse, is_stream, render
from slipway.http.routes import Route
from slipway.store import table, waits

# API Gateway answers 503 after 30 seconds, and the functions end after 29: a read that begins with
# the last second may take five more.
MOST_SECONDS = 20
# Pauses grow from that of the route (0.2 seconds by default) to five times as much.
_GROWTH = 1.5
_LONGEST = 5
# The milliseconds after which an event stream asks again that could not wait.
_IN_VAIN = 5000


def seconds(header: str) -> int | None:
    """How long the `Prefer` header asks to wait, MOST_SECONDS at most; None if it does not.

    The first `wait` counts; one without a number of seconds is ignored, as all that is unknown.
    """
    for preference in re.findall(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+', header):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            number = re.fullmatch(r'"?0*([0-9]{1,9})"?', value.strip())
            longer = re.fullmatch(r'"?[0-9]+"?', value.strip())
            return min(int(number[1]), MOST_SECONDS) if number else longer and MOST_SECONDS
    return None


def serve(route: Route, event: Mapping[str, Any], arguments: Mapping[str, Any]) -> RawResponse:
    """The response, once it is what the request waits for, cannot be any more, or time is up.

    Raises what the route's function raises: a wait ends when the caller may no longer read the
    object, and when the token expires. One round trip for each read, and two for the place.
    """
    try:
        result, response = _look(route, event, arguments)
    except LogsBusy as error:
        if not is_stream(route, event):
            raise
        # The client of an event stream gives up at any other status.
        return RawResponse(f"retry: {error.seconds * 1000}\n\n", EVENTS, 200, STREAM_HEADERS)
    wait, goal = _preferred(route, event), _goal(arguments)
    if wait is None or _is_over(route, event, goal, result, response):
        return response
    name, principal = next(
        (name, each) for name, each in arguments.items() if isinstance(each, Principal)
    )
    place = waits.take(principal.user_id, wait) if wait else None
    if place is None:
        return _saying(response, 0)
    try:
        ends, pause = time.monotonic() + wait, route.pause
        while (left := ends - time.monotonic()) > 0:
            # Jitter needs no secure randomness.
            time.sleep(min(left, pause * random.uniform(0.8, 1.2)))  # nosec B311
            pause = min(pause * _GROWTH, route.pause * _LONGEST)
            caller = binding.principal_again(route, event)
            try:
                result, response = _look(route, event, {**arguments, name: caller})
            except LogsBusy:
                continue
            if _is_over(route, event, goal, result, response):
                break
    finally:
        waits.give_back(place)
    return _saying(response, wait)


def _preferred(route: Route, event: Mapping[str, Any]) -> int | None:
    """How long the request prefers to wait. The client of an event stream cannot say it."""
    if (header := event["headers"].get("prefer")) is not None:
        return seconds(header)
    return MOST_SECONDS if is_stream(route, event) else None


def _look(
    route: Route, event: Mapping[str, Any], arguments: Mapping[str, Any]
) -> tuple[Any, RawResponse]:
    """What the route returns now, and its response."""
    result = route.function(**arguments)
    table.check_session()
    return result, render(route, result, event)


def _saying(response: RawResponse, wait: int) -> RawResponse:
    """The response, which says how long the request could wait."""
    headers = {**response.headers, "Preference-Applied": f"wait={wait}"}
    if response.media == EVENTS and isinstance(response.body, str) and not wait:
        # The last one counts.
        body = f"{response.body}retry: {_IN_VAIN}\n\n"
        return replace(response, headers=headers, body=body)
    return replace(response, headers=headers)


def _goal(arguments: Mapping[str, Any]) -> str | None:
    """What the query asks to wait for."""
    queries = (each for each in arguments.values() if isinstance(each, QueryModel))
    return next((goal for each in queries if (goal := getattr(each, "wait_for", None))), None)


def _is_over(
    route: Route,
    event: Mapping[str, Any],
    goal: str | None,
    result: ResponseModel | Page[Any],
    response: RawResponse,
) -> bool:
    """Whether there is nothing to wait for: it is there, or will never be."""
    if goal is not None and isinstance(result, ResponseModel):
        return not result.may_become(goal)
    conditions, tag = IfMatch.of(event["headers"]), response.headers.get("ETag")
    if conditions is not None and tag is not None and not conditions.matches(tag):
        return True
    is_known = conditions is not None and tag is not None and conditions.is_known(tag)
    if isinstance(result, ResponseModel):
        return not is_known or result.is_final
    if route.waits == "line":
        return result.cursor is None or result.more or (len(result) > 0 and not is_known)
    return not is_known
