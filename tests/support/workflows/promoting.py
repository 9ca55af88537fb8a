"""A promotion in a world: what somebody asks for, and what must be true of it at rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slipway.access.principal import Principal
from slipway.domain.ids import EnvironmentId, PromotionId, parse_environment, parse_promotion
from slipway.domain.promotion import NewPromotion, status_of
from slipway.services import promotions
from tests.support.workflows.stories import ask, cancel, deploy, environment
from tests.support.workflows.world import USER, World


def promote(world: World, source: EnvironmentId, *targets: EnvironmentId) -> PromotionId:
    """Promote what is live in the source."""
    body = {"from": str(source), "to": [str(each) for each in targets]}
    made = promotions.promote(
        NewPromotion.model_validate(body), Principal(USER, "promotions:create")
    )
    return parse_promotion(made.id)


def another(world: World, name: str, simulate: dict[str, Any] | None = None) -> EnvironmentId:
    """Ask for an environment with this name, and find it."""
    ask(lambda: world.environment(name=name, simulate=simulate))
    [found] = world.items(f"NAME#{name}")
    return parse_environment(found["environment_id"]["S"])


def promoted(world: World) -> None:
    """Into three targets: one takes it, one fails, and one is canceled while it waits."""
    source = environment(world)
    takes = another(world, "takes")
    fails = another(world, "fails", {"ship": {"version": "v2", "refuse": "No such image"}})
    waits = another(world, "waits")
    deploy(world, source, "v1")
    world.run(20)
    ask(lambda: promote(world, source, takes, fails))
    world.run(20)
    deploy(world, source, "v2")
    world.run(20)
    ask(lambda: promote(world, source, fails, takes, waits))
    world.run(0.2)
    cancel(world, deploy(world, waits, "v3"))
    world.run(20)
    ask(lambda: world.delete(takes))


def faults(items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Each promotion has ended as its deployments have, and is no longer looked at."""
    deployments = {each["id"]: each for each in items if each["sk"].startswith("DEP#")}
    for item in items:
        if not item["sk"].startswith("PROMOTION#"):
            continue
        for target in item["targets"]:
            made = deployments.get(target.get("deployment_id"), {"status": "refused"})
            if target["status"] != made["status"]:
                yield f"{item['id']} says {target['status']}, and {made['status']} is true"
        if status_of(each["status"] for each in item["targets"]) == "running":
            yield f"{item['id']} has not ended"
        elif not item.get("finished_at") or "due" in item or "ttl" not in item:
            yield f"{item['id']} has ended, and its record does not say so"
    for made in deployments.values():
        if "promotion_id" in made:
            known = [each for each in items if each.get("id") == made["promotion_id"]]
            mine = [
                target
                for each in known
                for target in each["targets"]
                if target.get("deployment_id") == made["id"]
            ]
            if len(mine) != 1:
                yield f"{made['id']} is of {len(mine)} promotions"
