"""Quotas: never one too many, no slot lost, and what has ended does not count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from slipway.access.principal import Principal
from slipway.aws import template_bodies
from slipway.domain import ids
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.template import NewTemplate, Version
from slipway.errors import NameTaken, QuotaExceeded
from slipway.services import (
    environments,
    projects,
    quotas,
    rollout_queue,
    rollouts,
    teardowns,
    templates,
)
from slipway.services.quotas import Claim
from slipway.settings import Limits, limits
from slipway.store import environment_records, project_records, quota_records, table
from slipway.store.table import Key, Put
from tests.support.store import between, world
from tests.support.store.conflicts import Conflicts
from tests.support.store.records import joins, runs, waiting_in

pytestmark = pytest.mark.usefixtures("aws")

BODY = b"Resources: {Jobs: {Type: AWS::SQS::Queue}}"


@pytest.fixture
def quota(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets quotas by the names of Limits' fields."""

    def sets(**wanted: int) -> None:
        given = limits()._replace(**wanted)
        monkeypatch.setenv("LIMITS", ",".join(map(str, given)))
        limits.cache_clear()

    yield sets
    limits.cache_clear()


@pytest.fixture(autouse=True)
def no_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies are neither stored nor validated here."""
    monkeypatch.setattr(template_bodies, "put", lambda *_: None)
    monkeypatch.setattr(template_bodies, "validate", lambda *_: None)


def in_project(project: ProjectId, ann: Principal) -> Callable[[int], object]:
    return lambda n: world.environment(project, ann, f"preview-{n}")


def a_version(ann: Principal) -> Callable[[int], object]:
    templates.create(NewTemplate(name="web"), ann)
    return lambda n: templates.add_version("web", Version(1, n), BODY, "application/yaml", ann)


def makers(quota: str, ann: Principal, project: ProjectId) -> Callable[[int], object]:
    """Make the nth object that the quota counts."""
    if quota == "projects_per_user":
        return lambda n: world.project(ann, f"project-{n}")
    if quota == "templates_per_user":
        return lambda n: templates.create(NewTemplate(name=f"web-{n}"), ann)
    if quota == "versions_per_template":
        return a_version(ann)
    if quota in ("environments_per_user", "environments_per_project"):
        return in_project(project, ann)
    here = world.environment(project, ann)
    world.comes_up(here)
    return lambda n: joins(here, ann)


def used(kind: str, owner: str) -> list[str]:
    items, _ = table.query(f"QUOTA#{owner}", f"{kind}#", limit=1000)
    return sorted(item["holder"] for item in items)


# Requests are counted by leases (tests/api/test_rate_limits.py), and those that wait have places
# (tests/api/test_waiting.py): nothing is made of them.
_OF_REQUESTS = {"requests_per_minute", "waits", "waits_per_caller"}


@pytest.mark.parametrize("field", [each for each in Limits._fields if each not in _OF_REQUESTS])
def test_of_many_at_once_as_many_are_made_as_the_quota_allows(
    ann: Principal,
    project: ProjectId,
    quota: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    field: str,
) -> None:
    make = makers(field, ann, project)
    # The project of the fixture is ann's, and so is the environment in which deployments wait.
    counts = {"projects_per_user": 1}.get(field, 0)
    quota(**{field: 8 + counts})

    results = between.at_once(monkeypatch, *[lambda n=n: make(n) for n in range(20)])

    refused = [each for each in results if isinstance(each, QuotaExceeded)]
    assert [each for each in results if isinstance(each, Exception)] == refused
    assert len(refused) == 12
    assert {(e.extra["quota"], e.extra["limit"], e.extra["used"]) for e in refused} == {
        (Limits.parameter(field), 8 + counts, 8 + counts)
    }


def test_fifty_deployments_of_a_user_conflict_less_than_on_a_counter_and_none_fails(
    ann: Principal, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = [world.environment(project, ann, f"preview-{n}") for n in range(50)]

    def counted() -> None:
        table.Transaction().add("quota", quota_records.count_project("usr_counted")).commit()

    with Conflicts(monkeypatch, seconds=0.004) as conflicts:
        results = between.side_by_side(*[lambda e=e: joins(e, ann) for e in here])
    with Conflicts(monkeypatch, seconds=0.004) as on_one_item:
        between.side_by_side(*[counted for _ in here])

    assert [each for each in results if isinstance(each, Exception)] == []
    assert len(used("DEPLOYMENT", ann.user_id)) == len(used("DEPLOYMENT", str(project))) == 50
    assert conflicts.on["QUOTA"] < on_one_item.on["QUOTA"] / 2


def test_what_has_ended_does_not_count(
    ann: Principal, project: ProjectId, quota: Callable[..., None]
) -> None:
    quota(environments_per_user=1, environments_per_project=1, deployments_per_user=1)
    for _ in range(3):
        here = world.environment(project, ann)
        world.comes_up(here)
        for end in ("succeeds", "canceled"):
            there = joins(here, ann)
            with pytest.raises(QuotaExceeded):
                joins(here, ann)
            if end == "succeeds":
                world.succeeds(runs(here))
            else:
                rollout_queue.cancel(there, ann)
        with pytest.raises(QuotaExceeded):
            world.environment(project, ann, "another")
        world.becomes(here, "teardown_failed", failure={"error": "X", "reason": "y"})
        teardowns.forget(here, ann, None)

    assert used("ENVIRONMENT", ann.user_id) == used("DEPLOYMENT", ann.user_id) == []
    assert used("DEPLOYMENT", str(project)) == []


def test_a_deleted_project_and_a_deleted_draft_do_not_count(
    ann: Principal, quota: Callable[..., None]
) -> None:
    quota(projects_per_user=1, versions_per_template=1)
    add = a_version(ann)
    for n in range(3):
        project = world.project(ann, f"project-{n}")
        add(n)
        with pytest.raises(QuotaExceeded):
            world.project(ann, "another")
        with pytest.raises(QuotaExceeded):
            add(9)
        projects.remove(project, ann, None, cascade=False)
        templates.discard("web", Version(1, n), ann)


def test_superseding_and_a_dying_environment_free_the_slots_of_what_waits(
    ann: Principal, running: EnvironmentId
) -> None:
    joins(running, ann)
    joins(running, ann)
    newest = joins(running, ann, on_conflict="supersede")
    rollout_queue.make_way(newest)
    assert used("DEPLOYMENT", ann.user_id) == [str(newest)]

    rollouts.acquire_next(running)
    joins(running, ann)
    rollout_queue.cancel_all(running, "It is gone")

    item = environment_records.find(running)
    assert item and item["waiting"] == 0
    assert used("DEPLOYMENT", ann.user_id) == used("DEPLOYMENT", str(running.project)) == []


def test_a_refusal_names_the_oldest_ephemeral_environments(
    ann: Principal, project: ProjectId, quota: Callable[..., None]
) -> None:
    world.environment(project, ann, "kept", type="persistent")
    old = [str(world.environment(project, ann, f"preview-{n}")) for n in range(6)]
    quota(environments_per_user=7)

    with pytest.raises(QuotaExceeded) as refused:
        world.environment(project, ann, "another")

    assert refused.value.extra == {
        "quota": "MaxEnvironmentsPerUser",
        "limit": 7,
        "used": 7,
        "could_end": [
            {"id": each, "name": f"preview-{n}", "project_id": str(project)}
            for n, each in enumerate(old[:5])
        ],
        "list": f"/api/v1/environments/projects/{project}",
    }


def test_a_full_project_refuses_a_plan_too(
    ann: Principal, project: ProjectId, quota: Callable[..., None]
) -> None:
    world.environment(project, ann)
    quota(environments_per_project=1)

    with pytest.raises(QuotaExceeded) as refused:
        environments.plan(project, world.wanted("another"), ann)
    assert refused.value.extra["quota"] == "MaxEnvironmentsPerProject"


def test_an_environment_that_exists_is_found_whatever_the_quotas(
    ann: Principal, project: ProjectId, quota: Callable[..., None]
) -> None:
    wanted = world.wanted(external_id="pr-1")
    made, _ = environments.ensure(project, "pr-1", wanted, ann)
    quota(environments_per_user=1, environments_per_project=1)

    assert environments.ensure(project, "pr-1", wanted, ann) == (made, False)


def test_a_full_queue_names_those_that_wait(
    ann: Principal, running: EnvironmentId, quota: Callable[..., None]
) -> None:
    first, second = joins(running, ann), joins(running, ann)
    quota(deployments_waiting=2)

    with pytest.raises(QuotaExceeded) as refused:
        joins(running, ann)

    assert refused.value.extra["could_end"] == [{"id": str(first)}, {"id": str(second)}]
    assert refused.value.extra["list"] == f"/api/v1/environments/{running}/queue"
    runs(running)
    joins(running, ann)


def test_the_quotas_of_two_users_and_of_two_projects_are_apart(
    ann: Principal, bob: Principal, project: ProjectId, quota: Callable[..., None]
) -> None:
    quota(environments_per_user=1, projects_per_user=1)
    world.environment(project, ann)

    assert world.environment(world.project(bob, "bobs"), bob)


def test_a_taken_name_is_told_before_a_full_quota(
    ann: Principal, project: ProjectId, quota: Callable[..., None]
) -> None:
    quota(projects_per_user=1)

    with pytest.raises(NameTaken):
        world.project(ann)


# --- what is wrong in the table ---------------------------------------------------------------


def test_a_slot_that_outlived_its_holder_does_not_count(
    ann: Principal, project: ProjectId, quota: Callable[..., None]
) -> None:
    quota(environments_per_user=2, deployments_per_user=1)
    here = world.environment(project, ann)
    gone = world.environment(project, ann, "gone")
    slots = environment_records.find(gone)["slots"]  # type: ignore[index]
    world.is_destroyed(gone)
    [(owner, number)] = slots.items()
    table.write(Put(quota_records.slot(owner, "ENVIRONMENT", number), {"holder": str(gone)}))
    for number in ("000000", "000001"):
        with suppress(table.ConditionFailed):
            key = quota_records.slot(ann.user_id, "DEPLOYMENT", number)
            table.write(Put(key, {"holder": f"dep_{here.p}_{here.e}_{'0' * 20}"}))

    assert world.environment(project, ann, "another")
    world.comes_up(here)
    joins(here, ann)


def test_a_counter_that_is_too_high_is_corrected(
    ann: Principal, project: ProjectId, quota: Callable[..., None]
) -> None:
    here = world.environment(project, ann)
    world.comes_up(here)
    rollout_queue.cancel(joins(here, ann), ann)
    quota(projects_per_user=5, environments_per_project=5, deployments_waiting=5)
    for key, name in (
        (quota_records.projects_of(ann.user_id), "used"),
        (project_records.key(project), "environments"),
        (environment_records.key(here), "waiting"),
    ):
        table.write(table.Update(key, f"SET {name} = :wrong", {"wrong": 5}))

    world.project(ann, "another")
    world.environment(project, ann, "another")
    joins(here, ann)

    [counter, record, environment] = table.get(
        quota_records.projects_of(ann.user_id),
        project_records.key(project),
        environment_records.key(here),
    )
    assert (counter["used"], record["environments"], environment["waiting"]) == (2, 2, 1)
    assert len(waiting_in(here)) == 1


def test_a_counter_is_not_corrected_if_something_was_made_since_it_was_read(
    ann: Principal, project: ProjectId, quota: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    quota(environments_per_project=2)
    gone, _ = (world.environment(project, ann, f"preview-{n}") for n in range(2))
    item = table.get(project_records.key(project))[0]
    # Between the two reads one ends, and after them another one is created.
    world.is_destroyed(gone)
    real = table.every

    def every(*wanted: Any) -> Any:
        found = list(real(*wanted))
        world.environment(project, ann, "meanwhile")
        return found

    monkeypatch.setattr(table, "every", every)
    quotas.environments_counted(project, item)

    record = table.get(project_records.key(project))[0]
    assert record["environments"] == 2
    with pytest.raises(QuotaExceeded):
        monkeypatch.setattr(table, "every", real)
        world.environment(project, ann, "another")


def test_a_lowered_quota_holds_whatever_slots_are_in_use(
    ann: Principal, project: ProjectId, quota: Callable[..., None]
) -> None:
    for n in range(4):
        world.environment(project, ann, f"preview-{n}")
    quota(environments_per_user=4)

    with pytest.raises(QuotaExceeded) as refused:
        world.environment(project, ann, "another")
    assert refused.value.extra["used"] == 4


@pytest.mark.parametrize("window", [1, 3])
def test_a_large_quota_is_used_up_to_its_last_slot(
    ann: Principal,
    project: ProjectId,
    quota: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    window: int,
) -> None:
    monkeypatch.setattr(quota_records, "WINDOW", window)
    quota(environments_per_user=9)
    make = in_project(project, ann)
    for n in range(9):
        make(n)

    with pytest.raises(QuotaExceeded) as refused:
        make(9)
    assert refused.value.extra["used"] == 9
    assert len(used("ENVIRONMENT", ann.user_id)) == 9


def test_what_an_earlier_release_made_ends_without_slots(
    ann: Principal, running: EnvironmentId
) -> None:
    joins(running, ann)
    this = runs(running)
    key = Key(f"ENV#{this.e}", f"DEP#{this.d}")
    table.write(table.Update(key, "REMOVE slots", {}))
    [item] = table.get(key)

    keys: dict[str, Any] = rollouts.execution_input(item)["keys"]

    assert table.get(*(Key(each["pk"]["S"], each["sk"]["S"]) for each in keys.values()))[-2:] == [
        None,
        None,
    ]
    assert rollouts.record_lost_execution(item, "ABORTED")


def test_a_workload_takes_a_slot_of_its_own_and_one_of_the_project() -> None:
    project = ProjectId(ids.new_part())
    trust = f"trs_{project.p}_{ids.new_part()}"

    claim = Claim(quota_records.deployments_of(trust), quota_records.deployments_in(project))
    claim.see([([], None), ([], None)])

    assert set(claim.numbers()) == {trust, str(project)}
