"""DynamoDB's protocol: signed JSON over connections that are kept open.

    [page, items] = together(("Query", {…}), ("BatchGetItem", {…}))

Only store/table.py calls it. No available library both reports everything that the store needs and
starts and answers within the budget (docs/decisions/0008). Requests are signed with the credentials
that Lambda gives to a function; no others are supported.
"""

from __future__ import annotations

import json
import random
import select
import ssl
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from slipway.aws.signature import signed as signed
from slipway.settings import credentials, settings

# The worst pair of calls ends before a function's 15 s, so the function can report it.
TRIES = 3
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 2.5
PAUSE_SECONDS = 0.2
# A function is frozen between requests, and a connection may be dropped silently meanwhile.
IDLE_SECONDS = 60

NO_ANSWER = "NoAnswer"
_PASSING = {
    NO_ANSWER,
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ThrottlingException",
    "TransactionInProgressException",
}

Answer = dict[str, Any]


class DynamoDBError(Exception):
    """DynamoDB refused the call. `code` is its error code, `answer` its whole answer.

    With the code NO_ANSWER, the call may have been carried out. `aside` is the answer of the call
    that was sent along, empty if there was none or if it failed.
    """

    def __init__(self, code: str, answer: Answer, status: int = 400) -> None:
        super().__init__(f"{code}: {answer.get('message') or answer.get('Message') or ''}")
        self.code = code
        self.answer = answer
        self.aside: Answer = {}
        self.passing = status >= 500 or code in _PASSING


def together(*calls: tuple[str, Answer], aside: tuple[str, Answer] | None = None) -> list[Answer]:
    """Send the calls (operation, request) at the same time: one round trip, more only while they
    fail for a transient reason.

    `aside` is a call that may fail: it is sent once, and the last answer is its own, empty if it
    failed. Raises DynamoDBError for the first of the others that is refused.
    """
    bodies = [(operation, _body(operation, request)) for operation, request in calls]
    beside = [(aside[0], _body(*aside))] if aside else []
    outcomes: list[Answer | DynamoDBError] = _each_once([*bodies, *beside])
    told = outcomes.pop() if aside else None
    answer_aside = told if isinstance(told, dict) else {}
    for attempt in range(1, TRIES):
        again = [n for n, outcome in enumerate(outcomes) if _passing(outcome)]
        if not again:
            break
        # Jitter needs no secure randomness.
        time.sleep(random.uniform(0, PAUSE_SECONDS * 2**attempt))  # nosec B311
        fresh = _each_once([bodies[n] for n in again])
        for n, outcome in zip(again, fresh, strict=True):
            outcomes[n] = outcome
    answers = []
    for outcome in outcomes:
        if isinstance(outcome, DynamoDBError):
            outcome.aside = answer_aside
            raise outcome
        answers.append(outcome)
    return [*answers, answer_aside] if aside else answers


def _body(operation: str, request: Answer) -> bytes:
    if operation == "TransactWriteItems":
        # Retried after a missing answer, it is the same transaction and is carried out once.
        request = {"ClientRequestToken": str(uuid.uuid4()), **request}
    return json.dumps(request, separators=(",", ":")).encode()


def _passing(outcome: Answer | DynamoDBError) -> bool:
    return isinstance(outcome, DynamoDBError) and outcome.passing


def _each_once(bodies: Sequence[tuple[str, bytes]]) -> list[Answer | DynamoDBError]:
    """Sends all calls before it waits for the first answer."""
    sent = [_sent(*each) for each in bodies]
    until = time.time() + ANSWER_SECONDS
    return [_outcome(each, until) for each in sent]


def _sent(operation: str, body: bytes) -> Any:
    try:
        return wire().send(operation, body)
    except (OSError, HTTPException) as error:
        return error


def _outcome(sent: Any, until: float) -> Answer | DynamoDBError:
    try:
        if isinstance(sent, Exception):
            raise sent
        status, raw = wire().receive(sent, until)
        answer: Answer = json.loads(raw)
        if not isinstance(answer, dict):
            raise ValueError("The answer is not an object")
    except (OSError, HTTPException, ValueError) as error:
        return DynamoDBError(NO_ANSWER, {"message": repr(error)})
    if status == 200:
        return answer
    return DynamoDBError(str(answer.get("__type")).rpartition("#")[2], answer, status)


class Wire:
    """The connections to DynamoDB. Each carries one call at a time. Thread-safe."""

    def __init__(self, endpoint: str, region: str) -> None:
        url = urlsplit(endpoint)
        self._connect: Callable[..., HTTPConnection] = HTTPConnection
        if url.scheme == "https":
            # Shared: loading the certificates takes longer than a request.
            self._connect = partial(HTTPSConnection, context=ssl.create_default_context())
        self._host = url.netloc
        self._region = region
        self._idle: list[tuple[float, HTTPConnection]] = []

    def send(self, operation: str, body: bytes) -> HTTPConnection:
        connection = self._kept() or self._connect(self._host, timeout=CONNECT_SECONDS)
        headers = signed(
            operation, body, self._host, self._region, credentials(), datetime.now(UTC)
        )
        try:
            connection.request("POST", "/", body, headers)
        except BaseException:
            connection.close()
            raise
        return connection

    def receive(self, connection: HTTPConnection, until: float) -> tuple[int, bytes]:
        try:
            connection.sock.settimeout(max(0.01, until - time.time()))
            response = connection.getresponse()
            raw = response.read()
        except BaseException:
            connection.close()
            raise
        # http.client has already closed it if DynamoDB announced that.
        if connection.sock:
            self._idle.append((time.time(), connection))
        return response.status, raw

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()

    def _kept(self) -> HTTPConnection | None:
        while True:
            try:
                since, connection = self._idle.pop()
            except IndexError:
                return None
            if time.time() - since < IDLE_SECONDS and not _readable(connection):
                return connection
            connection.close()


def _readable(connection: HTTPConnection) -> bool:
    """Readable without a pending request: the other end has closed the connection."""
    waiting = select.poll()
    waiting.register(connection.sock, select.POLLIN)
    return bool(waiting.poll(0))


@cache
def wire() -> Wire:
    """The process's connections, created on first use."""
    return Wire(settings().dynamodb, settings().region)
