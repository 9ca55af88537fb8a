"""`make lifetimes`: what an earlier release left gets the lifetime that it would have now."""

from __future__ import annotations

from typing import Any

import pytest

from deploy import as_function, lifetimes
from slipway import settings
from slipway.store import wire
from tests.support.workflows.emulator import dynamodb
from tests.support.workflows.world import World

pytestmark = pytest.mark.xdist_group("workflows")

DAY = 24 * 3600


@pytest.fixture
def world(environ: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(as_function, "of_stack", lambda name: "https://api.example.com")
    with World() as here:
        yield here


def everything(world: World) -> dict[tuple[str, str], Any]:
    """Each item of environments and deployments, by its key."""
    items = [wire.decode(item) for item in world.items("")]
    of_them = [each for each in items if each["pk"].startswith(("ENV#", "DEP#", "PROJECT#"))]
    return {(each["pk"], each["sk"]): each for each in of_them}


def two_lives(world: World) -> None:
    """One environment that has ended and one that lives, each with deployments of every end."""
    for name, hours in (("preview", 24), ("production", None)):
        environment = world.running(ttl_hours=hours, name=name)
        for version in ("v1", "v2", "v3"):
            world.deploy(environment, version)
        world.run(600)
        world.cancel(world.deploy(environment, "v4"))
        world.run(600)
    world.run(2 * DAY)


def forget_lifetimes(world: World) -> None:
    """As an earlier release would have left the table."""
    for pk, sk in everything(world):
        if sk != "LEASE":
            key = {"pk": {"S": pk}, "sk": {"S": sk}}
            names = {"#ttl": "ttl"}
            change = {"UpdateExpression": "REMOVE #ttl", "ExpressionAttributeNames": names}
            dynamodb._update_item({"TableName": "slipway", "Key": key, **change})


def test_old_items_get_the_lifetimes_that_new_ones_have(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    two_lives(world)
    right = everything(world)
    forget_lifetimes(world)
    assert not any("ttl" in item for item in everything(world).values())

    assert lifetimes.main(["--stack", "slipway-dev"]) == 0

    found = everything(world)
    assert differing(found, right) == []
    assert lifetimes.main(["--stack", "slipway-dev"]) == 0
    assert capsys.readouterr().out.endswith("\n0 items were given a lifetime.\n")
    assert everything(world) == found


def differing(found: Any, right: Any) -> list[str]:
    """Items whose lifetimes differ by more than a log line takes from its event to its writing."""
    return [
        f"{key}: {found[key].get('ttl')}, not {item.get('ttl')}"
        for key, item in right.items()
        if abs(found[key].get("ttl", 0) - item.get("ttl", 0)) > 60
    ]


def test_changed_parameters_apply_to_what_is_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_lives(world)
    before = everything(world)
    monkeypatch.setenv("ENDED_DAYS", "500")
    settings.lifetimes.cache_clear()

    lifetimes.correct()

    after = everything(world)
    longer = {
        key[1].partition("#")[0]
        for key, item in before.items()
        if after[key].get("ttl") == item.get("ttl", 0) + 100 * DAY
    }
    assert {"ENV", "DEP", "EVENT", "TIMELINE"} <= longer and "LOG" not in longer
    assert {key for key in after if "ttl" in after[key]} == {
        key for key in before if "ttl" in before[key]
    }
