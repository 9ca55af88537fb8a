"""Reconcile runs while any record has a deadline, and every new operation wakes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.aws import event_rule, secret_inputs
from slipway.domain.ids import EnvironmentId
from slipway.drivers import stacks
from slipway.services import cleanup, projects, reconcile_schedule
from slipway.store import deadlines, table
from tests.support.workflows import faults
from tests.support.workflows.emulator import dynamodb
from tests.support.workflows.faults import Fault
from tests.support.workflows.invariants import broken
from tests.support.workflows.world import OWNER, SCHEDULE, World

pytestmark = [pytest.mark.no_cover, pytest.mark.xdist_group("workflows")]


RECONCILE = "reconcile > "
Act = Callable[[World, EnvironmentId], object]
# How far the index may lag behind the table, in seconds.
LAG = 240


def made(world: World, name: str) -> int:
    return sum(call.name == name for call in world.calls.made)


def asleep(world: World) -> EnvironmentId:
    """An environment that runs and needs nobody, and a reconcile that has found that."""
    environment = world.running()
    world.recover(3)
    assert not world.is_awake()
    return environment


def comes_to_rest(world: World) -> list[str]:
    world.recover(8)
    assert not world.is_awake()
    return broken(world)


# ── Awake and asleep ────────────────────────────────────────────────────────────────────────


def test_reconcile_runs_until_no_record_has_a_deadline(world: World) -> None:
    awake = []
    environment = world.running()
    for _ in range(3):
        awake.append(world.is_awake())
        world.recover()
    calls = len(world.calls.made)

    world.recover(10)

    assert awake == [True, True, False]
    assert len(world.calls.made) == calls
    assert world.look(environment)["status"] == "running"


def test_reconcile_runs_as_long_as_a_lease_lasts(world: World) -> None:
    world.running(ttl_hours=1)

    world.recover(10)
    awake = world.is_awake()

    assert awake
    assert comes_to_rest(world) == []


def test_a_plan_wakes_reconcile_which_deletes_an_orphaned_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep(world)
    deleted: list[str] = []
    monkeypatch.setattr(stacks, "delete_plan", deleted.append)

    table.write(cleanup.plan_may_be_orphaned("slipway-plan-1", "1"))
    world.settle()
    assert world.is_awake()
    world.recover(11)
    assert deleted == []

    assert comes_to_rest(world) == []
    assert deleted == ["slipway-plan-1"]


def test_storing_secrets_wakes_reconcile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = asleep(world)
    removed: list[str] = []
    monkeypatch.setattr(secret_inputs, "remove_all", removed.append)
    update = f"{environment}/01m83t4cm0j6vmh6bcfn"

    for place in (str(environment), update):
        table.write(cleanup.secrets_may_be_orphaned(place))
    world.settle()
    assert world.is_awake()
    world.recover(11)
    assert removed == []

    assert comes_to_rest(world) == []
    assert removed == [update]


ACTS: list[Act] = [
    lambda world, environment: world.deploy(environment),
    lambda world, environment: world.delete(environment),
    lambda world, environment: world.environment(name="another"),
    lambda world, environment: projects.remove(world.project, OWNER, None, cascade=True),
]


@pytest.mark.parametrize("act", ACTS, ids=["deploy", "delete", "create", "cascade"])
def test_every_new_operation_wakes_reconcile(world: World, act: Act) -> None:
    environment = asleep(world)

    act(world, environment)
    world.run(1)

    assert world.is_awake()
    assert comes_to_rest(world) == []


def test_a_new_stack_rests_after_the_first_look(world: World) -> None:
    dynamodb._delete_item({"TableName": "slipway", "Key": reconcile_schedule.KEY.wire()})
    event_rule.on()

    world.recover()
    rests = not world.is_awake()
    world.environment()
    world.run(1)

    assert (rests, world.is_awake()) == (True, True)


def test_a_record_that_dispatch_cannot_handle_wakes_reconcile(world: World) -> None:
    world.when("dispatch > states StartExecution", faults.fails, times=None)

    world.environment()
    world.run(600)

    assert (world.is_awake(), len(world.dead_letters)) == (True, 1)


def test_a_change_is_delivered_again_until_reconcile_is_awake(world: World) -> None:
    world.when("dispatch > events EnableRule", faults.fails, times=12)

    environment = world.environment()
    world.run(60)

    assert world.look(environment)["status"] == "running"
    assert (world.is_awake(), world.dead_letters) == (True, [])


def test_a_change_that_the_stream_lost_is_found_within_a_day(world: World) -> None:
    environment = world.environment()
    world.lose_the_stream()
    world.recover(3)
    unnoticed = world.look(environment)["status"]

    world.a_day_later()

    assert (unnoticed, world.look(environment)["status"]) == ("provisioning", "running")
    assert world.is_awake()


def test_waking_reconcile_costs_one_write_in_five_minutes_and_one_call(world: World) -> None:
    def costs() -> tuple[int, int]:
        return made(world, "dispatch > dynamodb UpdateItem"), made(
            world, "dispatch > events EnableRule"
        )

    world.environment(ttl_hours=24, name="first")
    world.run(250)
    first = costs()
    world.environment(name="second")
    world.run(10)
    second = costs()
    world.recover(2)
    world.environment(name="third")
    world.run(10)

    # Reconcile's own looks are changes, too.
    assert (first, second, costs()) == ((1, 1), (1, 1), (3, 1))


# ── What comes in between ───────────────────────────────────────────────────────────────────


@pytest.fixture
def lags(monkeypatch: pytest.MonkeyPatch) -> Callable[[World], None]:
    """From now on the index does not know of what begins now, for as long as it may lag."""
    is_any = deadlines.any_due

    def lags(world: World) -> None:
        until = world.schedule.now + LAG
        monkeypatch.setattr(deadlines, "any_due", lambda: world.schedule.now > until and is_any())

    return lags


LOOK = [f"{RECONCILE}dynamodb Query"] * 4
# The call that switches its rule off.
TO_REST = [
    *LOOK,
    f"{RECONCILE}dynamodb BatchGetItem",
    *LOOK,
    f"{RECONCILE}dynamodb UpdateItem",
    f"{RECONCILE}events DisableRule",
    f"{RECONCILE}dynamodb BatchGetItem",
]
# When somebody may come: before its n-th call. Reads in a row are one moment.
MOMENTS = [n for n, call in enumerate(TO_REST) if call not in TO_REST[max(0, n - 1) : n]]
every_moment = pytest.mark.parametrize("n", MOMENTS)


def about_to_rest(world: World) -> None:
    """The next time reconcile would switch itself off."""
    world.running()
    world.recover()
    world.run(SCHEDULE)
    assert world.is_awake()


def begin(world: World) -> None:
    """A rollout that nobody but reconcile can end; dispatch has come to it."""
    [environment] = world.environments()
    deployment = world.deploy(environment)
    world.run_until(lambda: world.look(deployment)["status"] == "running")
    world.stop("roll_out_deployment", deployment)


def is_looked_after(world: World) -> bool:
    """Reconcile is awake, comes to what has begun, and rests again."""
    [deployment] = world.deployments()
    awake, broken = world.is_awake(), comes_to_rest(world)
    return awake and world.look(deployment)["status"] == "failed" and broken == []


def then(somebody: Callable[[], object], fault: Fault) -> Fault:
    """Somebody does something, and just after that the call is met by the fault."""
    return lambda perform, refusal: fault(lambda: (somebody(), perform())[1], refusal)


def test_the_calls_with_which_reconcile_goes_to_rest(world: World) -> None:
    about_to_rest(world)
    before = len(world.calls.made)

    world.reconcile()

    assert [call.name for call in world.calls.made[before:]] == TO_REST
    assert not world.is_awake()


@every_moment
def test_an_operation_that_begins_while_reconcile_goes_to_rest_keeps_it_awake(
    world: World, lags: Callable[[World], None], n: int
) -> None:
    about_to_rest(world)

    def somebody() -> None:
        lags(world)
        begin(world)

    world.when(f"{RECONCILE}*", faults.preceded_by(somebody), skip=n)

    world.reconcile()

    assert is_looked_after(world)


@every_moment
def test_a_late_stream_record_of_that_operation_wakes_reconcile(
    world: World, lags: Callable[[World], None], n: int
) -> None:
    about_to_rest(world)

    def somebody() -> None:
        lags(world)
        world.hold_the_stream()
        [environment] = world.environments()
        world.deploy(environment)

    world.when(f"{RECONCILE}*", faults.preceded_by(somebody), skip=n)
    world.reconcile()
    rests = not world.is_awake()
    world.release_the_stream()
    world.run(1)

    # Unless it saw it in the very index that it was reading.
    assert rests or TO_REST[n : n + 4] == LOOK
    assert world.is_awake()
    assert comes_to_rest(world) == []


@every_moment
def test_a_crash_while_going_to_rest_leaves_no_operation_unattended(
    environ: None, lags: Callable[[World], None], n: int
) -> None:
    for last in (each for each in MOMENTS if each >= n):
        with World() as world:
            about_to_rest(world)

            def somebody(world: World = world) -> None:
                lags(world)
                begin(world)

            if last == n:
                world.when(f"{RECONCILE}*", then(somebody, faults.dies), skip=n)
            else:
                world.when(f"{RECONCILE}*", faults.preceded_by(somebody), skip=n)
                # A call that meets one fault is not counted for the other.
                world.when(f"{RECONCILE}*", faults.dies, skip=last - 1)
            world.strike()

            assert is_looked_after(world), f"{TO_REST[last]} was its last"


@every_moment
def test_two_runs_that_go_to_rest_at_once_leave_no_operation_unattended(
    environ: None, lags: Callable[[World], None], n: int
) -> None:
    # Somebody comes while the second does all that it does, or the first what is left.
    second, first = [n + each for each in MOMENTS], [each for each in MOMENTS if each > n]
    for skip in (*second, *(each + len(TO_REST) - 1 for each in first)):
        with World() as world:
            about_to_rest(world)

            def somebody(world: World = world) -> None:
                lags(world)
                begin(world)

            world.when(f"{RECONCILE}*", faults.preceded_by(world.reconcile), skip=n)
            world.when(f"{RECONCILE}*", faults.preceded_by(somebody), skip=skip)
            world.reconcile()

            assert is_looked_after(world)


@every_moment
def test_a_crash_beside_another_run_leaves_no_operation_unattended(
    world: World, lags: Callable[[World], None], n: int
) -> None:
    about_to_rest(world)

    def somebody() -> None:
        lags(world)
        begin(world)
        world.reconcile()

    world.when(f"{RECONCILE}*", then(somebody, faults.dies), skip=n)
    world.strike()

    assert is_looked_after(world)
