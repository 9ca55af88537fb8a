"""Fifty requests wait at once, and nobody else notices."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.platform import Platform
from tests.support.http_user import Answer, Person, until

pytestmark = pytest.mark.xdist_group("e2e")

MANY = 50


def test_fifty_requests_wait_at_once_and_delay_nobody(platform: Platform, someone: Person) -> None:
    project = someone.project()
    made = someone.environment(project)
    someone.wait_for(made["id"], "running")
    path = f"/api/v1/environments/{made['id']}"
    tag = someone.ask("GET", path).headers["ETag"]

    def wait(_: int) -> Answer:
        return someone.ask("GET", path, headers={"Prefer": "wait=20", "If-None-Match": tag})

    def waiting() -> int:
        key = {"pk": {"S": "WAITS"}, "sk": {"S": "WAITS"}}
        table = platform.outputs["TableName"]
        item: dict[str, Any] = platform.client("dynamodb").get_item(TableName=table, Key=key)
        return sum(name.startswith("wait_") for name in item.get("Item", {}))

    with ThreadPoolExecutor(MANY) as pool:
        began = time.monotonic()
        answers = [pool.submit(wait, n) for n in range(MANY)]
        others = []
        while waiting() < MANY and time.monotonic() - began < 18:
            asked = time.monotonic()
            assert someone.ask("GET", path).status == 200
            others.append(time.monotonic() - asked)
        all_wait = time.monotonic() - began
        assert not any(each.done() for each in answers)
        assert someone.ask("PATCH", path, {"tier": "staging"}).status == 200
        changed = time.monotonic()
        found = [each.result() for each in answers]
        told = time.monotonic() - changed

    print(
        f"{MANY} wait after {all_wait:.1f} s; others took {max(others):.3f} s at most, "
        f"{sorted(others)[len(others) // 2]:.3f} s in the middle; all told after {told:.1f} s"
    )
    assert [each.status for each in found] == [200] * MANY
    assert {each.body["tier"] for each in found} == {"staging"}
    assert {each.headers["Preference-Applied"] for each in found} == {"wait=20"}
    assert told < 10
    assert sorted(others)[len(others) // 2] < 1
    until(lambda: waiting() == 0)


def test_a_pipeline_waits_for_what_it_deploys_and_follows_the_log(someone: Person) -> None:
    made = someone.environment(someone.project())
    headers = {"Prefer": "wait=20"}
    path = f"/api/v1/environments/{made['id']}"
    up = someone.ask("GET", f"{path}?wait_for=running", headers=headers)
    deployment = someone.deploy(made["id"], "sha-1").body["id"]

    live = someone.ask("GET", f"{path}?wait_for=version:sha-1", headers=headers)
    said, url = [], f"/api/v1/deployments/{deployment}/logs"
    while url:
        page = someone.ask("GET", url, headers=headers)
        said += [line["step"] for line in page.body]
        url = page.headers.get("Link", "").removeprefix("<").partition(">")[0]
        url = url[url.find("/api/") :] if url else ""

    assert (up.body["status"], live.body["live_version"]) == ("running", "sha-1")
    assert (said[-1], said.count("succeed")) == ("succeed", 1)
