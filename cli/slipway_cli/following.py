"""Following what goes on: until a deployment has ended, until an environment runs, line by line.

A GET with `Prefer: wait` answers when something has changed, so following costs one request each
20 seconds. A cut connection or a restart of the platform does not end it: the next request begins
where the last one ended, by its ETag or its cursor.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from slipway_cli.asking import API
from slipway_cli.client import Answer, Client, quoted
from slipway_cli.failures import NoAnswer, WrongUsage

WAIT_SECONDS = 20
# How often to ask a platform that does not wait.
_POLL_SECONDS = 1.0
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}

# The final states, and whether each is a success.
DEPLOYMENT_ENDS = {
    "succeeded": True,
    "failed": False,
    "rolled_back": False,
    "canceled": False,
    "superseded": False,
}
ENVIRONMENT_RUNS = {
    "running": True,
    "failed": False,
    "expiring": False,
    "tearing_down": False,
    "teardown_failed": False,
    "destroyed": False,
}
PROMOTION_ENDS = {"succeeded": True, "partly_failed": False, "failed": False}
CONFIRMATION_ENDS = {"carried_out": True, "failed": False, "rejected": False, "expired": False}
ENVIRONMENT_ENDS = {"destroyed": True, "teardown_failed": False}

Changed = Callable[[Mapping[str, Any]], None]


def seconds(text: str | None, flag: str = "--timeout") -> float | None:
    """The length of time as `30`, `30s`, `5m` or `2h`. Raises WrongUsage, which names the flag."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([smh]?)", text.strip())
    if not found:
        raise WrongUsage(f"{flag} takes seconds, or 30s, 5m, 2h, not {text!r}.")
    return float(found[1]) * _UNITS[found[2]]


class Deadline:
    """The end of the caller's patience; never without `--timeout`."""

    def __init__(self, timeout: float | None) -> None:
        self._until = None if timeout is None else time.monotonic() + timeout
        self._timeout = timeout

    def left(self) -> float:
        """The seconds until the deadline; infinite without one."""
        return float("inf") if self._until is None else self._until - time.monotonic()

    def check(self, goes_on: str) -> None:
        """Raises NoAnswer when it has passed."""
        if self.left() <= 0:
            raise NoAnswer(
                f"It has not ended after {self._timeout:g} s, and goes on.", hint=goes_on
            )


def until(
    client: Client,
    path: str,
    ends: Mapping[str, bool],
    deadline: Deadline,
    changed: Changed,
    goes_on: str,
) -> dict[str, Any]:
    """The object at the path, once its status is one of `ends`.

    `changed` is called with each new representation; `goes_on` is the command to continue with.
    Raises NoAnswer after the deadline, and as Client.ask.
    """
    etag = None
    while True:
        deadline.check(goes_on)
        began = time.monotonic()
        wait = max(int(min(WAIT_SECONDS, deadline.left())), 1)
        asked = {"Prefer": f"wait={wait}", "If-None-Match": etag} if etag else None
        answer = client.ask("GET", path, headers=asked)
        if answer.status != 304:
            found: dict[str, Any] = answer.body
            etag = answer.etag
            changed(found)
            if found["status"] in ends:
                return found
        if asked:
            _pause(answer, began, deadline)


def lines(
    client: Client,
    path: str,
    deadline: Deadline,
    *,
    follow: bool,
    query: Mapping[str, Any] | None = None,
    empty: int = 1,
) -> Iterator[Mapping[str, Any]]:
    """The lines of a log, oldest first; to its end if they are followed. `query` chooses them.

    Otherwise they end with so many `empty` pages in a row: a search finds nothing in some pages.

    Raises NoAnswer after the deadline, and as Client.ask.
    """
    place: str | None = f"{path}?limit=100"
    chosen, bare = query, 0
    while place:
        began = time.monotonic()
        headers = {"Prefer": f"wait={WAIT_SECONDS}"} if follow and "cursor=" in place else {}
        answer = client.ask("GET", place, headers=headers, query=chosen)
        chosen = None  # The next page's address has it.
        yield from answer.body or ()
        bare = 0 if answer.body else bare + 1
        if not follow and (bare == empty or answer.next == place):
            return
        # A page without lines has no other cursor than the one that led to it.
        place = answer.next or (place if answer.status == 304 else None)
        if follow and place and not answer.body:
            deadline.check("slipway logs --follow")
            _pause(answer, began, deadline)


def _pause(answer: Answer, began: float, deadline: Deadline) -> None:
    """Do not ask again at once if the platform was asked to wait, and has not waited."""
    applied = answer.headers.get("Preference-Applied") or "wait=0"
    if applied.strip() == "wait=0":
        passed = time.monotonic() - began
        time.sleep(max(min(_POLL_SECONDS - passed, deadline.left()), 0))


def subject_path(identity: str) -> str | None:
    """The path of a deployment, promotion or environment by its id; None if it is no id."""
    if identity.startswith("dep_"):
        return f"{API}/deployments/{quoted(identity)}"
    if identity.startswith("pro_"):
        return f"{API}/promotions/{quoted(identity)}"
    if identity.startswith("env_"):
        return f"{API}/environments/{quoted(identity)}"
    return None
