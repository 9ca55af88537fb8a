"""Entries of an audit are linked once, whatever happens to a call of dispatch."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.access import signing, tokens
from slipway.domain import audit_chain
from slipway.domain.ids import ProjectId
from slipway.store import sessions, table, wire
from slipway.store.table import Put
from tests.support.api.client import Client
from tests.support.workflows import faults
from tests.support.workflows.emulator import acting
from tests.support.workflows.world import USER, World

pytestmark = [pytest.mark.xdist_group("workflows"), pytest.mark.no_cover]

HAPPENS = {
    **{name: (fault, 1) for name, fault in faults.FAULTS.items()},
    **{f"{name}, again": (faults.FAULTS[name], 3) for name in ("fails", "lost")},
    "dies": (faults.dies, 1),
}


def changed(world: World, times: int) -> ProjectId:
    """A project that was changed so often by a person, while the stream waits."""
    signing.forget()
    tokens.forget()
    project = world.project
    account = {"id": USER, "email": "user@example.com", "status": "active"}
    table.write(Put(sessions.account_key(USER), account))
    ann = Client(signing.mint(USER).access_token, USER)
    world.hold_the_stream()
    with acting("api"):
        for n in range(times):
            answer = ann.patch(f"/api/v1/projects/{project}", {"name": f"orders-{n}"})
            assert answer.status == 200
    return project


def linked(world: World, project: ProjectId) -> list[dict[str, Any]]:
    """The links, each of which is checked to follow the one before and to have its entry."""
    found = [_decoded(item) for item in world.items("LINK#")]
    links = sorted(found, key=lambda link: int(link["sequence"]))
    entries = {
        item["sk"].removeprefix("ENTRY#"): item
        for item in map(_decoded, world.items("ENTRY#"))
        if item["pk"].startswith("AUDIT#")
    }
    at, broken = audit_chain.check_links(project.p, audit_chain.Position(), links, entries)
    assert broken is None
    [head] = [_decoded(item) for item in world.items("HEAD")]
    waiting = [item for item in world.items("ENTRY#") if "UNLINKED#" in item["pk"]["S"]]
    at = at._replace(counted=len(entries))
    assert audit_chain.check_end(at, head, len(waiting), []) is None
    assert waiting == []
    assert {link["entry"] for link in links} == set(entries)
    return links


def _decoded(item: Any) -> dict[str, Any]:
    return wire.decode(item)


def calls_of_dispatch() -> int:
    with World() as world:
        changed(world, 3)
        world.calls.made.clear()
        world.release_the_stream()
        world.run(60)
        return len(world.calls.made)


@pytest.fixture
def signed(environ: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "_secret", lambda: "s" * 64)


@pytest.mark.parametrize("what", HAPPENS)
def test_no_entry_is_left_out_and_none_is_linked_twice(signed: None, what: str) -> None:
    fault, times = HAPPENS[what]
    calls = calls_of_dispatch()
    assert calls >= 4

    for n in range(calls):
        with World() as world:
            project = changed(world, 3)
            world.calls.made.clear()
            world.when(n, fault, times)
            world.release_the_stream()
            world.run(120)
            assert len(linked(world, project)) == 3, f"{what} at {n}"
            assert world.dead_letters == []


def test_an_entry_whose_event_was_lost_is_linked_with_the_next(signed: None) -> None:
    with World() as world:
        project = changed(world, 2)
        world.lose_the_stream()
        world.release_the_stream()
        ann = Client(signing.mint(USER).access_token, USER)
        with acting("api"):
            assert ann.patch(f"/api/v1/projects/{project}", {"name": "again"}).status == 200
        world.run(60)

        assert len(linked(world, project)) == 3


def test_a_batch_that_comes_twice_links_nothing_twice(signed: None) -> None:
    with World() as world:
        project = changed(world, 3)
        world.release_the_stream()
        world.run(60)
        before = linked(world, project)
        [batch] = [each for each in world.batches if "UNLINKED#" in str(each)]

        answer = world.redeliver(batch)

        assert answer["batchItemFailures"] == []
        assert linked(world, project) == before
