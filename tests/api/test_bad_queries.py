"""Queries that break a rule: each is refused with its status, its code and the name at fault."""

from __future__ import annotations

import pytest

from slipway.domain.paging import Page
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client
from tests.support.api.people import Stage

pytestmark = pytest.mark.no_cover


LISTS = ["projects", "environments", "deployments", "logs", "environment's logs"]
every_list = pytest.mark.parametrize("name", LISTS)


@pytest.fixture(scope="module")
def ann(stage: Stage) -> Client:
    return stage.ann


@pytest.fixture(scope="module")
def lists(stage: Stage) -> dict[str, str]:
    """Each list's path."""
    return {
        "projects": "/api/v1/projects",
        "environments": f"/api/v1/environments/projects/{stage.project}",
        "deployments": f"/api/v1/deployments/environments/{stage.environment}",
        "logs": f"/api/v1/deployments/{stage.deployment}/logs",
        "environment's logs": f"/api/v1/environments/{stage.environment}/logs",
    }


@every_list
@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=-1", "limit=ten", "limit=", "limit=1.5", "limit=1e400"],
)
def test_a_bad_limit_is_refused(ann: Client, lists: dict[str, str], name: str, query: str) -> None:
    with nothing_changes():
        answer = ann.send("GET", lists[name], query=query)

    assert_refused(answer, 422, "invalid_request", "?limit")


BAD_CURSORS = {
    "a word": "nonsense",
    "empty": "",
    "too long": "A" * 201,
    "no base64": "a",
    "no text": "_-7_",
    "of no list": Page([], "OTHER#x").cursor or "",
    "of the lock": Page([], "LOCK").cursor or "",
    "another script": "%D1%8F",
    "a null": "%00",
}


@every_list
@pytest.mark.parametrize("cursor", BAD_CURSORS.values(), ids=BAD_CURSORS.keys())
def test_a_bad_cursor_is_refused(
    ann: Client, lists: dict[str, str], name: str, cursor: str
) -> None:
    with nothing_changes():
        answer = ann.send("GET", lists[name], query=f"cursor={cursor}")

    assert_refused(answer, 422, "invalid_request", "?cursor")


BAD_QUERIES = {
    "a name that is not known": ("sort=name", "?sort"),
    "a limit that is given twice": ("limit=1&limit=2", "?limit"),
    "a cursor that is given twice": ("cursor=a&cursor=a", "?cursor"),
    "what is not UTF-8": ("limit=%ff", "?"),
    "a name with a control character": ("%00=1", "?\0"),
    "too many names": ("&".join(f"a{n}=1" for n in range(51)), "?"),
    "a name like a pointer": ("a/b~c=1", "?a~1b~0c"),
}


@every_list
@pytest.mark.parametrize("query,pointer", BAD_QUERIES.values(), ids=BAD_QUERIES.keys())
def test_a_bad_query_is_refused(
    ann: Client, lists: dict[str, str], name: str, query: str, pointer: str
) -> None:
    with nothing_changes():
        answer = ann.send("GET", lists[name], query=query)

    assert_refused(answer, 422, "invalid_request", pointer)


@pytest.mark.parametrize("cascade", ["maybe", "", "2", "true&cascade=true"])
def test_a_cascade_that_is_neither_yes_nor_no_is_refused(stage: Stage, cascade: str) -> None:
    with nothing_changes():
        answer = stage.ann.send(
            "DELETE", f"/api/v1/projects/{stage.project}", query=f"cascade={cascade}"
        )

    assert_refused(answer, 422, "invalid_request", "?cascade")
