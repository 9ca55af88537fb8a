"""Lists have pages, which the Link header connects."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from slipway.domain.ids import DeploymentId, EnvironmentId, ProjectId
from slipway.store import log_records
from tests.support.api.client import HOST, Answer, Client
from tests.support.store import world

Lists = dict[str, tuple[str, Callable[[int], str]]]


@pytest.fixture
def lists(ann: Client, project: ProjectId, environment: EnvironmentId) -> Lists:
    """Each list's path, and what makes one thing in it and returns its id."""
    me = ann.principal
    return {
        "projects": ("/api/v1/projects", lambda n: str(world.project(me, f"p{n}"))),
        "environments": (
            f"/api/v1/environments/projects/{project}",
            lambda n: str(world.environment(project, me, f"e{n}")),
        ),
        "deployments": (
            f"/api/v1/deployments/environments/{environment}",
            lambda n: str(world.deployment(environment, me)),
        ),
    }


every_list = pytest.mark.parametrize("name", ["projects", "environments", "deployments"])


def follow(ann: Client, answer: Answer) -> Answer | None:
    """The answer at the URL of the Link header."""
    link = answer.headers.get("link")
    if link is None:
        return None
    found = re.fullmatch(rf'<https://{re.escape(HOST)}(/[^?>]+)\?([^>]+)>; rel="next"', link)
    assert found, link
    return ann.send("GET", found[1], query=found[2])


@every_list
def test_a_list_is_followed_to_its_end(ann: Client, lists: Lists, name: str) -> None:
    path, make = lists[name]
    there = [each["id"] for each in ann.get(path).json]
    made = there[::-1] + [make(n) for n in range(5)]
    found: list[str] = []
    page: Answer | None = ann.get(path, limit=2)

    while page:
        assert isinstance(page.json, list)
        assert len(page.json) <= 2
        found += [each["id"] for each in page.json]
        page = follow(ann, page)

    assert found == sorted(made, reverse=True)


@every_list
def test_a_new_object_is_listed_first_at_once(ann: Client, lists: Lists, name: str) -> None:
    path, make = lists[name]

    for n in range(3):
        made = make(n)
        assert ann.get(path, limit=1).json[0]["id"] == made


@every_list
def test_the_link_to_the_next_page_keeps_the_limit(ann: Client, lists: Lists, name: str) -> None:
    path, make = lists[name]
    for n in range(3):
        make(n)

    link = ann.get(f"{path}/", limit=1).headers["link"]

    assert f"{path}?limit=1&cursor=" in link


def test_a_cursor_of_another_list_is_refused(
    ann: Client, lists: Lists, deployment: DeploymentId
) -> None:
    cursors = {}
    for name, (path, make) in lists.items():
        for n in range(2):
            make(n)
        cursors[name] = ann.get(path, limit=1).headers["link"].partition("cursor=")[2][:-13]
    log_records.write(deployment, "ship", "2026-11-23T01:02:03.456Z", "one", "two")
    log = f"/api/v1/deployments/{deployment}/logs"
    cursors["logs"] = ann.get(log, limit=1).headers["link"].partition("cursor=")[2][:-13]
    paths = {name: path for name, (path, _) in lists.items()} | {"logs": log}

    for of, cursor in cursors.items():
        for name, path in paths.items():
            answer = ann.send("GET", path, query=f"cursor={cursor}")
            assert (answer.status == 200) == (of == name), (of, name)
