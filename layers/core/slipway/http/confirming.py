"""Requests that wait for a person: storing them, and carrying out what was approved.

Imported only when a machine asks for something destructive, and when a workflow carries it out.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipway.access import asking
from slipway.domain import ids, timestamps
from slipway.domain.confirmation import digest_of
from slipway.domain.environment import seen_version
from slipway.domain.preconditions import IfMatch
from slipway.errors import ConfirmationNeeded, PreconditionFailed, StoreUnavailable
from slipway.http.responses import RawResponse, render_confirmation
from slipway.store import confirmation_records, sessions, table
from slipway.store.confirmed_sessions import ConfirmedSession
from slipway.store.table import ConditionFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from slipway.domain.confirmation_record import ConfirmationRecord

# Responses after which the same request may succeed.
_AGAIN = (429, 500, 502, 503, 504)
# Longer bodies are not kept; the object can be read by its id.
_MOST_LETTERS = 20_000


def ask(event: Mapping[str, Any], needed: ConfirmationNeeded) -> RawResponse:
    """The 202 to a request that has to wait: the confirmation. Raises as asking.ask."""
    body = event.get("body") or None
    if body and event.get("isBase64Encoded"):
        body = base64.b64decode(body).decode()
    request = {
        "method": event["requestContext"]["http"]["method"],
        "path": event["rawPath"],
        "query": event.get("rawQueryString") or None,
        "body": body,
        "if_match": (event["headers"].get("if-match") or "").strip() or None,
    }
    conditions = IfMatch.of(event["headers"])
    if conditions is not None and seen_version(needed.record, timestamps.now()) not in conditions:
        raise PreconditionFailed()
    host = event["requestContext"]["domainName"]
    return render_confirmation(asking.ask(needed, request, host), event)


# --- carrying out -----------------------------------------------------------------------------


def carry_out(
    serve: Callable[[dict[str, Any], Any], dict[str, Any]], event: Mapping[str, Any], context: Any
) -> dict[str, str]:
    """Carry out an approved request, unless that was done: `{confirmation}` -> `{status}`.

    Only a state machine can send this event: API Gateway's have other fields. Raises
    StoreUnavailable if it may succeed when tried again.
    """
    confirmation = ids.parse_confirmation(event["confirmation"])
    item = confirmation_records.find(confirmation)
    if item is None or item["status"] != "approved":
        return {"status": item["status"] if item else "gone"}
    request = json.loads(item["request"])
    if digest_of(item["asked_by"]["id"], request, item["seen"]) != item["digest"]:
        return _failed(item, {"status": 412, "code": "digest", "detail": "The digest is wrong."})
    acting = ConfirmedSession(item)
    with sessions.carrying_out(acting):
        response = serve(_event_of(item, request, context), context)
    result = _result(response)
    if acting.is_used:
        _tell(item, result)
        return {"status": "carried_out"}
    if response["statusCode"] in _AGAIN:
        raise StoreUnavailable(f"{result['status']} {result.get('code')}: {result.get('detail')}")
    if response["statusCode"] >= 400:
        return _failed(item, result)
    # It was so already: there was nothing to write.
    return _nothing_to_do(item, result)


def _event_of(item: ConfirmationRecord, request: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """The stored request as an event of API Gateway. Its caller is the confirmed session."""
    headers = {"content-type": "application/json", "if-match": request["if_match"]}
    if name := item.get("confirmed_name"):
        headers["x-confirm"] = name
    http = {"method": request["method"], "path": request["path"], "sourceIp": "", "userAgent": ""}
    caller = {
        "http": http,
        "domainName": item["host"],
        "requestId": context.aws_request_id,
        "stage": "$default",
    }
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request["path"],
        "rawQueryString": request.get("query") or "",
        "headers": headers,
        "requestContext": caller,
        "body": request.get("body") or "",
        "isBase64Encoded": False,
    }


def _result(response: Mapping[str, Any]) -> dict[str, Any]:
    """The response as the confirmation keeps it."""
    body = response.get("body") or ""
    shown = json.loads(body) if 0 < len(body) <= _MOST_LETTERS else None
    if response["statusCode"] < 400:
        return {"status": response["statusCode"], "body": shown}
    problem = shown or {}
    return {"status": response["statusCode"], **{n: problem.get(n) for n in ("code", "detail")}}


def _failed(item: ConfirmationRecord, result: Mapping[str, Any]) -> dict[str, str]:
    """End it as failed. Returns what it is, if another process has ended it first."""
    if asking.fail(item, result, item["asked_by"]["id"]):
        return {"status": "failed"}
    return _as_it_is(item)


def _nothing_to_do(item: ConfirmationRecord, result: Mapping[str, Any]) -> dict[str, str]:
    try:
        table.write(confirmation_records.carrying_out(item))
    except ConditionFailed:
        return _as_it_is(item)
    _tell(item, result)
    return {"status": "carried_out"}


def _as_it_is(item: ConfirmationRecord) -> dict[str, str]:
    found = confirmation_records.find(ids.parse_confirmation(item["id"]))
    return {"status": found["status"] if found else "gone"}


def _tell(item: ConfirmationRecord, result: Mapping[str, Any]) -> None:
    """Keep the response. No-op if an earlier attempt has kept one."""
    try:
        table.write(confirmation_records.told(item, json.dumps(result)))
    except ConditionFailed:
        return
