"""Assertions that hold for every refusal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.api.client import JSON, PROBLEM, Answer
from tests.support.store import world

MEMBERS = {"type", "title", "status", "detail", "code", "request_id", "errors"}


def assert_refused(answer: Answer, status: int, code: str, pointer: str | None = None) -> None:
    """A problem of RFC 9457 with this status and code, and this field among those at fault."""
    problem = answer.json
    assert (answer.status, problem["code"]) == (status, code), problem
    # Clients of OAuth 2 get theirs as RFC 6749 says.
    assert answer.headers["content-type"] == (JSON if "error" in problem else PROBLEM)
    assert answer.headers["cache-control"] == "no-store"
    assert set(problem) >= MEMBERS
    assert problem["status"] == status
    assert problem["type"] == f"/docs/errors#{code}"
    assert problem["request_id"] == "JKJaXPLvDoEEJiA="
    assert isinstance(problem["title"], str)
    assert isinstance(problem["detail"], str)
    pointers = [each["pointer"] for each in problem["errors"]]
    assert pointers == [] if pointer is None else pointer in pointers, problem
    assert all(each["detail"] for each in problem["errors"])


@contextmanager
def nothing_changes(but: str = " ") -> Iterator[None]:
    """The table is afterwards as it was before, to the last attribute, but for counted attempts.

    `but`: what the sort key of new items may begin with.
    """

    def everything() -> list[Any]:
        return [item for item in world.everything() if item["sk"]["S"] != "ATTEMPTS"]

    before = everything()
    yield
    after = everything()
    assert [item for item in after if not item["sk"]["S"].startswith(but)] == before
