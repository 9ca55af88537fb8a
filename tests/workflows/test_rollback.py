"""Rollbacks: what they go back to, what they stop and hold off, and what they bring back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.access.principal import Principal
from slipway.domain import ids
from slipway.domain.deployment import Deployment, NewDeployment
from slipway.domain.ids import DeploymentId, EnvironmentId
from slipway.domain.promotion import NewPromotion
from slipway.domain.rollback import NewRollback
from slipway.errors import Invalid, NotFound, Refused
from slipway.services import configuration, holds, promotions, queues, rollbacks, rollout_queue
from slipway.store import environment_records, table
from slipway.store.table import Transaction, Update
from tests.support.workflows.world import OWNER, World

pytestmark = pytest.mark.independent


def ship(world: World, where: EnvironmentId, *versions: str) -> list[str]:
    """Deploy them one after the other; their ids."""
    made = []
    for version in versions:
        made.append(str(world.deploy(where, version)))
        world.settle()
    return made


def ask(where: EnvironmentId, to: str | None = None, by: Principal = OWNER) -> Deployment:
    return rollbacks.request(where, NewRollback(reason="It is broken", to=to), by)[0]


def live(world: World, where: EnvironmentId) -> tuple[str, str]:
    record = world.look(where)
    return record["live_version"], record["live_deployment_id"]


def refused(where: EnvironmentId, to: str | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        ask(where, to)
    return caught.value


def status(world: World, deployment: str) -> str:
    return str(world.look(ids.parse_deployment(deployment))["status"])


def test_it_goes_back_to_what_was_live_before(world: World) -> None:
    where = world.running()
    v1, v2 = ship(world, where, "v1", "v2")

    made = ask(where)
    world.settle()

    assert (made.trigger, made.rolls_back_to, made.version) == ("rollback", v1, "v1")
    assert made.reason == "It is broken"
    assert live(world, where) == ("v1", made.id)
    assert v2 != made.id


def test_a_second_one_goes_further_back_and_not_forth(world: World) -> None:
    where = world.running()
    v1, v2, _ = ship(world, where, "v1", "v2", "v3")

    back = []
    for _ in range(2):
        back.append(ask(where).rolls_back_to)
        world.settle()
    last = refused(where)

    assert back == [v2, v1]
    assert live(world, where)[0] == "v1"
    assert last.code == "nothing_to_roll_back_to"


def test_after_a_rollback_a_new_version_leads_back_to_it(world: World) -> None:
    where = world.running()
    ship(world, where, "v1", "v2")
    back = ask(where)
    world.settle()
    ship(world, where, "v3")

    assert ask(where).rolls_back_to == back.id


def test_what_failed_is_not_gone_back_to(world: World) -> None:
    where = world.environment(simulate={"ship": {"version": "bad", "refuse": "No such image"}})
    world.run(30)
    v1, bad, v2 = ship(world, where, "v1", "bad", "v2")

    why = refused(where, bad)

    assert (why.code, why.extra["eligible"]) == ("nothing_to_roll_back_to", [v1])
    assert "rolled_back: it was never live" in why.detail
    assert ask(where).rolls_back_to == v1
    assert v2


def test_it_names_what_can_be_gone_back_to(world: World) -> None:
    where = world.running()
    assert refused(where).extra["eligible"] == []
    made = ship(world, where, *(f"v{n}" for n in range(12)))

    why = refused(where, made[-1])
    too_old = refused(where, made[0])

    assert "is what is live" in why.detail
    assert why.extra["eligible"] == list(reversed(made[2:-1]))
    assert "not among the last ten" in too_old.detail
    assert ask(where, made[2]).version == "v2"


def test_it_names_a_deployment_of_this_environment(world: World) -> None:
    where, other = world.running(), world.running(name="other")
    ship(world, where, "v1", "v2")
    [theirs] = ship(world, other, "v1")

    for to in (theirs, "v1", "dep_1", f"{where}_x"):
        why = refused(where, to)
        assert isinstance(why, Invalid)
        assert [each.pointer for each in why.fields] == ["#/to"]
    with pytest.raises(NotFound):
        ask(where, str(DeploymentId(where.p, where.e, ids.new_part())))


def test_it_is_ahead_of_what_waits_and_stops_what_runs(world: World) -> None:
    where = world.running()
    v1, v2 = ship(world, where, "v1", "v2")
    running, waiting = (str(world.deploy(where, version)) for version in ("v3", "v4"))
    world.run(0.3)
    assert status(world, running) == "running"

    made = ask(where)
    queued = [each.id for each in queues.list_(where, OWNER)]
    world.settle()

    # What is live is what v3 would have replaced, whether or not v3 has just made it.
    assert made.rolls_back_to == v2
    assert queued == [running, made.id, waiting]
    assert status(world, running) == "canceled"
    assert [status(world, each) for each in (made.id, waiting)] == ["succeeded", "succeeded"]
    order = [each["id"] for each in reversed(world.look(where)["live_history"])]
    assert order == [v1, v2, made.id, waiting]


def test_it_is_never_outdated(world: World) -> None:
    where = world.running()
    for n in (1, 2):
        rollout_queue.enqueue(where, NewDeployment(version=f"v{n}", sequence=n), OWNER)
        world.settle()

    made = ask(where)
    world.settle()

    assert status(world, made.id) == "succeeded"
    assert world.look(where)["live_order"] == 1


def test_asked_twice_it_is_done_once(world: World) -> None:
    where = world.running()
    ship(world, where, "v1", "v2")

    first, second = ask(where), ask(where)
    world.run(0.3)
    third = ask(where)

    assert first.id == second.id == third.id
    world.settle()
    assert live(world, where) == ("v1", first.id)


def test_one_to_another_deployment_replaces_one_that_waits(world: World) -> None:
    where = world.running()
    v1, v2, _ = ship(world, where, "v1", "v2", "v3")
    running = str(world.deploy(where, "v4"))
    world.run(0.3)

    first, second = ask(where, v2), ask(where, v1)
    world.settle()

    assert [status(world, each) for each in (running, first.id)] == ["canceled", "superseded"]
    assert world.look(ids.parse_deployment(first.id))["superseded_by"] == second.id
    assert live(world, where) == ("v1", second.id)


def test_what_is_in_doubt_is_made_certain(world: World) -> None:
    where = world.environment(
        simulate={
            "ship": {"version": "bad", "refuse": "No such image"},
            "restore": {"version": "v2", "refuse": "Nor this one"},
        }
    )
    world.run(30)
    _, v2, bad = ship(world, where, "v1", "v2", "bad")
    assert world.look(where)["live_in_doubt"] == bad

    assert ask(where).rolls_back_to == v2
    world.settle()

    assert "live_in_doubt" not in world.look(where)


# --- the hold ---------------------------------------------------------------------------------


class _Token:
    """A session of a pipeline's token."""

    author, kind, name, grant, may_have_grant = "tok_1", "ci", "pipeline", None, True


PIPELINE: Any = Principal(OWNER.user_id, "deployments:create", _Token())  # type: ignore[arg-type]


def test_machines_are_held_off_until_a_person_releases_it(world: World) -> None:
    where = world.running()
    ship(world, where, "v1", "v2")
    made = ask(where)
    world.settle()

    hold = world.look(where)["hold"]
    assert (hold["deployment_id"], hold["reason"]) == (made.id, "It is broken")
    with pytest.raises(Refused) as caught:
        rollout_queue.enqueue(where, NewDeployment(version="v3"), PIPELINE)
    assert caught.value.code == "environment_held"
    assert caught.value.extra == {"deployment_id": made.id}
    ship(world, where, "v3")
    assert live(world, where)[0] == "v3"

    for _ in range(2):
        assert holds.release(where, OWNER).hold is None
    rollout_queue.enqueue(where, NewDeployment(version="v4"), PIPELINE)
    world.settle()
    assert live(world, where)[0] == "v4"


def test_what_a_machine_had_deployed_waits_for_the_release(world: World) -> None:
    where = world.running()
    ship(world, where, "v1", "v2")
    running = str(world.deploy(where, "v3"))
    waiting = rollout_queue.enqueue(where, NewDeployment(version="v4"), PIPELINE).id
    world.run(0.3)
    made = ask(where)
    world.run(60)

    assert [status(world, each) for each in (running, made.id, waiting)] == [
        *("canceled", "succeeded", "pending"),
    ]
    assert [each.id for each in queues.list_(where, OWNER)] == [waiting]

    holds.release(where, OWNER)
    world.settle()

    assert status(world, waiting) == "succeeded"


def test_promotions_of_machines_are_held_off_and_leave_others_alone(world: World) -> None:
    source, held, free = world.running(), world.running(name="held"), world.running(name="free")
    ship(world, source, "v9")
    ship(world, held, "v1", "v2")
    ask(held)
    world.settle()
    wanted = NewPromotion.model_validate({"from": str(source), "to": [str(held), str(free)]})

    made = promotions.promote(wanted, replace(PIPELINE, action="promotions:create"))
    world.settle()

    one, other = made.targets
    assert (one.deployment_id, other.deployment_id is None) == (None, False)
    assert "was rolled back (It is broken)" in str(one.reason)
    assert (live(world, held)[0], live(world, free)[0]) == ("v1", "v9")


def test_a_pipeline_rolls_back_further_while_it_is_held(world: World) -> None:
    where = world.running()
    v1, *_ = ship(world, where, "v1", "v2", "v3")
    ask(where)
    world.settle()

    made = ask(where, by=PIPELINE)
    world.settle()

    assert (made.rolls_back_to, live(world, where)[0]) == (v1, "v1")
    assert world.look(where)["hold"]["by"] == {"id": "tok_1", "kind": "ci", "name": "pipeline"}


def test_the_hold_tells_of_itself_in_the_events(world: World) -> None:
    where = world.running()
    ship(world, where, "v1", "v2")
    ask(where)
    world.settle()
    holds.release(where, OWNER)
    world.settle()

    told = [(event["action"], event.get("reason")) for event in world.events(where)]
    assert ("held", "It is broken") in told
    assert ("hold_released", "It is broken") in told


# --- the configuration ------------------------------------------------------------------------


def configure(where: EnvironmentId, **values: str) -> None:
    """Change the environment's variables, as their route does."""
    record = environment_records.find(where)
    assert record
    levels = configuration.levels(record, table.get(*configuration.keys(where)))
    by: Any = {"id": OWNER.user_id, "kind": "user"}
    made_by = {"at": record["created_at"], "by": by}
    own: Any = {
        **levels.own,
        "variables": {n: {"value": each, **made_by} for n, each in values.items()},
    }
    made = configuration.new_version(record, levels, by, "a test", own=own)
    update = Update(environment_records.key(where), *table.setting(made.fields))
    transaction = Transaction().add("record", update)
    for part, action in made.actions.items():
        transaction.add(part, action)
    transaction.commit()


def variables(world: World, where: EnvironmentId) -> dict[str, str]:
    """What runs there is configured with, by the number that is live."""
    number = world.look(where).get("live_configuration", 0)
    found = configuration.content(table.get(*configuration.content_keys(where, number)))
    return {name: each["value"] for name, each in found["variables"].items()}


def test_it_brings_the_configuration_back_as_a_new_one(world: World) -> None:
    where = world.running()
    configure(where, LEVEL="info")
    [v1] = ship(world, where, "v1")
    configure(where, LEVEL="debug", EXTRA="x")
    ship(world, where, "v2")
    assert variables(world, where) == {"LEVEL": "debug", "EXTRA": "x"}

    plan = rollbacks.preview(where, NewRollback(reason="?"), OWNER)
    made = ask(where)
    world.settle()

    assert plan.variables == {"EXTRA": "removed", "LEVEL": "changed"}
    record = world.look(where)
    assert (made.rolls_back_to, record["configuration"], record["live_configuration"]) == (v1, 3, 3)
    assert variables(world, where) == {"LEVEL": "info"}
    kept = configuration.levels(record, table.get(*configuration.keys(where))).merged()
    assert list(kept["variables"]) == ["LEVEL"], "nothing is pending"


def test_from_before_there_was_any_it_brings_none_back(world: World) -> None:
    where = world.running()
    ship(world, where, "v1")
    configure(where, LEVEL="info")
    ship(world, where, "v2")

    ask(where)
    world.settle()

    assert (variables(world, where), world.look(where)["live_version"]) == ({}, "v1")


def test_what_is_configured_meanwhile_is_no_part_of_it(world: World) -> None:
    where = world.running()
    configure(where, LEVEL="info")
    ship(world, where, "v1", "v2")
    made = ask(where)
    configure(where, LEVEL="debug")
    world.settle()

    record = world.look(where)
    assert (record["live_configuration"], record["configuration"]) == (1, 2)
    assert (variables(world, where), record["live_deployment_id"]) == ({"LEVEL": "info"}, made.id)
