"""Promotions, from the request to the last rollout."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.domain.ids import EnvironmentId, PromotionId, parse_deployment
from slipway.store import promotion_records
from tests.support.workflows.invariants import broken
from tests.support.workflows.promoting import another, promote, promoted
from tests.support.workflows.world import World

pytestmark = pytest.mark.xdist_group("workflows")


def with_a_source(world: World) -> EnvironmentId:
    source = world.running()
    world.deploy(source, "v1")
    world.settle()
    return source


def look(promotion: PromotionId) -> Any:
    return promotion_records.find(promotion)


def statuses(promotion: PromotionId) -> list[str]:
    return [each["status"] for each in look(promotion)["targets"]]


def test_a_promotion_rolls_out_in_each_target_and_ends_with_the_last(world: World) -> None:
    source = with_a_source(world)
    targets = [another(world, "one"), another(world, "other")]
    world.settle()

    promotion = promote(world, source, *targets)
    assert statuses(promotion) == ["pending", "pending"]
    world.settle()

    assert statuses(promotion) == ["succeeded", "succeeded"]
    item = look(promotion)
    assert item["finished_at"] and "due" not in item
    for target in targets:
        live = world.look(target)
        assert live["live_version"] == "v1"
        deployment = world.look(parse_deployment(live["live_deployment_id"]))
        assert deployment["promotion_id"] == str(promotion)
    assert broken(world) == []


def test_a_target_that_fails_is_told_with_its_reason(world: World) -> None:
    source = with_a_source(world)
    fails = another(world, "fails", {"ship": {"version": "v1", "refuse": "No such image"}})
    takes = another(world, "takes")
    world.settle()

    promotion = promote(world, source, fails, takes)
    world.settle()

    first, second = look(promotion)["targets"]
    assert (first["status"], second["status"]) == ("failed", "succeeded")
    assert "No such image" in first["reason"]
    assert promotion_records.to_model(look(promotion)).status == "partly_failed"


def test_reconcile_tells_a_promotion_what_dispatch_never_heard_of(world: World) -> None:
    source = with_a_source(world)
    target = another(world, "target")
    world.settle()
    promotion = promote(world, source, target)
    world.run(0.5)
    world.hold_the_stream()
    world.run(60)
    world.lose_the_stream()
    world.release_the_stream()
    assert statuses(promotion) != ["succeeded"]

    world.recover()

    assert statuses(promotion) == ["succeeded"]


def test_a_target_that_is_deleted_meanwhile_ends_its_part(world: World) -> None:
    source = with_a_source(world)
    target = another(world, "target")
    world.settle()
    promotion = promote(world, source, target)
    world.run(0.2)
    world.delete(target)
    world.settle()

    assert statuses(promotion) == ["canceled"]
    assert look(promotion)["finished_at"]


def test_the_story_of_the_crash_tests_is_what_it_says(world: World) -> None:
    promoted(world)
    world.settle()

    found = sorted(
        (
            item["version"]["S"],
            sorted(each["M"]["status"]["S"] for each in item["targets"]["L"]),
        )
        for item in world.items("PROMOTION#")
    )
    assert [version for version, _ in found] == ["v1", "v2"]
    assert found[0][1] == ["succeeded", "succeeded"]
    assert "rolled_back" in found[1][1]
