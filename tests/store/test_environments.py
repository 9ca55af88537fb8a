"""Environments: who sees them, how long they live, and that exactly one end wins."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from slipway.access.principal import Principal
from slipway.domain.environment import CAN_BECOME, Environment, Status
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.errors import (
    Invalid,
    NameTaken,
    NotFound,
    PreconditionFailed,
    ProjectGoing,
    StaleWrite,
)
from slipway.services import environments, leases, projects, teardowns
from slipway.store import environment_records, project_records, queue_records, table
from tests.support.store import between, world
from tests.support.store.records import STATES, lease, overdue

pytestmark = pytest.mark.usefixtures("aws")

NOWHERE = EnvironmentId("0" * 20, "0" * 20)


# --- to ask for one -------------------------------------------------------------------------


def test_an_environment_is_shown_as_it_was_asked_for(ann: Principal, project: ProjectId) -> None:
    made = world.environment(project, ann, "preview", ttl_hours=0.5, config={"a": [1, 2.5]})

    shown = environments.get(made, ann)

    assert (shown.id, shown.project_id) == (str(made), str(project))
    assert (shown.name, shown.type, shown.status) == ("preview", "ephemeral", "provisioning")
    assert (shown.ttl_hours, shown.config, shown.version) == (0.5, {"a": [1, 2.5]}, 1)
    assert shown.expires_at
    assert shown.expires_at - shown.created_at == timedelta(minutes=30)
    assert shown.execution_arn.endswith(f":slipway-provision_environment:{made}")


def test_a_new_environment_is_returned_as_it_is_read_later(
    ann: Principal, project: ProjectId
) -> None:
    made = environments.create(project, world.wanted(ttl_hours=0.002, config={"x": None}), ann)

    environment = EnvironmentId(project.p, made.id[-20:])
    assert environments.get(environment, ann) == made


def test_an_ephemeral_environment_has_a_lease_with_a_ttl(
    ann: Principal, project: ProjectId
) -> None:
    made = world.environment(project, ann, ttl_hours=0.002)
    ends = environments.get(made, ann).expires_at

    found = lease(made)

    assert found and ends
    assert found["environment_id"] == str(made)
    assert ends.timestamp() < found["ttl"] < ends.timestamp() + 5


def test_a_persistent_environment_has_no_lease(ann: Principal, project: ProjectId) -> None:
    made = world.environment(project, ann, type="persistent")

    shown = environments.get(made, ann)

    assert (shown.ttl_hours, shown.expires_at, lease(made)) == (None, None, None)


def test_the_record_of_an_environment_has_no_ttl(ann: Principal, project: ProjectId) -> None:
    made = world.environment(project, ann)

    found = environment_records.find(made)

    assert found and "ttl" not in found


def test_a_name_is_unique_while_its_environment_lives(ann: Principal, project: ProjectId) -> None:
    first = world.environment(project, ann, "preview")
    before = world.everything()

    with pytest.raises(NameTaken):
        world.environment(project, ann, "Preview")
    assert world.everything() == before
    world.is_destroyed(first)
    assert world.environment(project, ann, "preview") != first


def test_two_projects_may_use_one_name(ann: Principal, project: ProjectId) -> None:
    other = world.project(ann, "other")

    assert world.environment(project, ann) != world.environment(other, ann)


def test_one_of_many_simultaneous_requests_for_a_name_wins(
    ann: Principal, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = between.at_once(
        monkeypatch, *[lambda: world.environment(project, ann) for _ in range(6)]
    )

    won = [result for result in results if isinstance(result, EnvironmentId)]
    lost = [result for result in results if isinstance(result, NameTaken)]
    assert (len(won), len(lost)) == (1, 5)
    [found] = table.get(project_records.key(project))
    assert found and found["environments"] == 1


@pytest.mark.parametrize(
    "fields",
    [{"ttl_hours": 720.5}, {"config": {"k": "x" * 20_000}}],
    ids=["a life that is too long", "a configuration that is too large"],
)
def test_a_request_beyond_the_policy_changes_nothing(
    ann: Principal, project: ProjectId, fields: dict[str, Any]
) -> None:
    before = world.everything()

    with pytest.raises(Invalid):
        world.environment(project, ann, **fields)

    assert world.everything() == before


def test_only_members_create_an_environment(
    ann: Principal, bob: Principal, project: ProjectId
) -> None:
    before = world.everything()

    with pytest.raises(NotFound):
        world.environment(project, bob)
    with pytest.raises(NotFound):
        world.environment(ProjectId("0" * 20), ann)

    assert world.everything() == before


def test_creating_an_environment_is_one_read_and_one_transaction(
    ann: Principal, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = between.counted(monkeypatch)

    world.environment(project, ann)

    assert made == ["Query + BatchGetItem", "TransactWriteItems"]


def test_a_project_that_begins_to_go_meanwhile_takes_no_environment(
    ann: Principal, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.environment(project, ann, "first")
    between.first(
        monkeypatch,
        "TransactWriteItems",
        lambda: projects.remove(project, ann, None, cascade=True),
    )

    with pytest.raises(ProjectGoing):
        world.environment(project, ann, "late")


# --- to look at it --------------------------------------------------------------------------


def test_the_environment_of_another_user_is_not_found(
    ann: Principal, bob: Principal, running: EnvironmentId
) -> None:
    before = world.everything()

    with pytest.raises(NotFound):
        environments.get(running, bob)
    with pytest.raises(NotFound):
        teardowns.begin(running, bob, None)
    with pytest.raises(NotFound):
        world.environments(running.project, bob)
    with pytest.raises(NotFound):
        environments.get(NOWHERE, ann)

    assert world.everything() == before


def test_an_id_with_other_parents_is_not_found(bob: Principal, running: EnvironmentId) -> None:
    his = world.project(bob)

    with pytest.raises(NotFound):
        environments.get(EnvironmentId(his.p, running.e), bob)


def test_reading_an_environment_is_one_round_trip(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = between.counted(monkeypatch)

    environments.get(running, ann)

    assert made == ["BatchGetItem"]


def test_a_list_pages_from_the_newest_to_the_oldest(ann: Principal, project: ProjectId) -> None:
    made = [str(world.environment(project, ann, f"e{n}")) for n in range(5)]
    found: list[str] = []
    cursor = None

    while True:
        page = world.environments(project, ann, limit=2, cursor=cursor)
        found += [environment.id for environment in page]
        cursor = page.cursor
        if cursor is None:
            break

    assert sorted(found, reverse=True) == found
    assert sorted(found) == sorted(made)


def test_a_cursor_of_another_list_is_refused(ann: Principal, project: ProjectId) -> None:
    world.project(ann, "other")
    other = projects.list_(ann, world.page(limit=1)).cursor

    with pytest.raises(Invalid) as refused:
        world.environments(project, ann, cursor=other)

    assert refused.value.fields[0].pointer == "?cursor"


@pytest.mark.parametrize("status", ["provisioning", "running", "failed"])
def test_an_overdue_environment_is_never_shown_running(
    ann: Principal, project: ProjectId, status: Status
) -> None:
    made = world.environment(project, ann)
    world.becomes(made, status)
    overdue(made)

    alone = environments.get(made, ann)
    [listed] = world.environments(project, ann)

    assert (alone.status, listed.status) == ("expiring", "expiring")


def test_a_destroyed_environment_stays_readable(ann: Principal, running: EnvironmentId) -> None:
    world.is_destroyed(running)

    shown = environments.get(running, ann)

    assert shown.status == "destroyed"
    assert shown.destroyed_at
    assert shown.execution_arn.endswith(f":slipway-retire_environment:{running}")
    assert world.environments(running.project, ann) == []
    [listed] = world.environments(running.project, ann, include="ended")
    assert listed.id == str(running)


# --- to give it back ------------------------------------------------------------------------


@pytest.mark.parametrize("status", STATES)
def test_a_teardown_begins_only_in_states_that_allow_it(
    ann: Principal, project: ProjectId, status: Status
) -> None:
    made = world.environment(project, ann)
    world.becomes(made, status)
    version = environments.get(made, ann).version

    shown = teardowns.begin(made, ann, None)

    begins = "tearing_down" in CAN_BECOME[status]
    assert shown.status == ("tearing_down" if begins else status)
    assert shown.version == version + begins


def test_repeating_a_teardown_changes_nothing(ann: Principal, running: EnvironmentId) -> None:
    shown = teardowns.begin(running, ann, None)
    before = world.everything()

    assert teardowns.begin(running, ann, None) == shown
    assert world.everything() == before


def test_one_of_two_simultaneous_teardowns_begins_and_both_return_it(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = between.at_once(
        monkeypatch, *[lambda: teardowns.begin(running, ann, None) for _ in range(4)]
    )

    shown = [result for result in results if isinstance(result, Environment)]
    assert [(each.status, each.version) for each in shown] == [("tearing_down", 3)] * 4


def test_tearing_down_another_version_is_refused(ann: Principal, running: EnvironmentId) -> None:
    before = world.everything()

    for version in (1, 3, -1):
        with pytest.raises(PreconditionFailed):
            teardowns.begin(running, ann, {version})

    assert world.everything() == before
    assert teardowns.begin(running, ann, {2}).status == "tearing_down"


def test_a_version_that_the_caller_has_not_seen_is_not_torn_down(
    ann: Principal, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.environment(project, ann)
    between.first(monkeypatch, "UpdateItem", lambda: world.comes_up(made))

    with pytest.raises(PreconditionFailed):
        teardowns.begin(made, ann, {1})

    assert environments.get(made, ann).status == "running"


def test_giving_back_checks_no_membership_and_may_be_repeated(running: EnvironmentId) -> None:
    teardowns.begin_as(running, "usr_1")
    before = world.everything()
    teardowns.begin_as(running, "usr_1")

    found = environment_records.find(running)
    assert found and found["status"] == "tearing_down"
    assert world.everything() == before


def test_giving_back_leaves_a_running_provisioning_alone(
    ann: Principal, project: ProjectId
) -> None:
    made = world.environment(project, ann)

    teardowns.begin_as(made, "usr_1")

    found = environment_records.find(made)
    assert found and found["operation"] == "provision_environment"


# --- its end --------------------------------------------------------------------------------


def test_an_expired_lease_ends_the_environment_once(running: EnvironmentId) -> None:
    overdue(running)

    leases.expire(running, "ttl")
    before = world.everything()
    leases.expire(running, "ttl")

    found = environment_records.find(running)
    assert found and found["status"] == "expiring"
    assert world.everything() == before


def test_a_lease_that_was_extended_meanwhile_does_not_expire(running: EnvironmentId) -> None:
    before = world.everything()

    leases.expire(running, "ttl")

    assert world.everything() == before


def test_a_persistent_environment_never_expires(ann: Principal, project: ProjectId) -> None:
    made = world.environment(project, ann, type="persistent")
    before = world.everything()

    leases.expire(made, "ttl")
    leases.expire(NOWHERE, "ttl")
    teardowns.begin_as(NOWHERE, "usr_1")

    assert world.everything() == before


@pytest.mark.parametrize("status", STATES)
def test_expiry_begins_only_in_states_that_allow_it(
    ann: Principal, project: ProjectId, status: Status
) -> None:
    made = world.environment(project, ann)
    world.becomes(made, status)
    overdue(made)

    leases.expire(made, "ttl")

    found = environment_records.find(made)
    assert found
    assert found["status"] == ("expiring" if "expiring" in CAN_BECOME[status] else status)


def test_an_expiry_that_meets_a_teardown_leaves_it_alone(
    ann: Principal, running: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    overdue(running)
    between.first(monkeypatch, "UpdateItem", lambda: teardowns.begin(running, ann, None))

    leases.expire(running, "ttl")

    found = environment_records.find(running)
    assert found
    assert (found["status"], found["version"]) == ("tearing_down", 3)


def test_a_transition_that_is_not_allowed_is_refused(
    ann: Principal, running: EnvironmentId
) -> None:
    world.is_destroyed(running)

    with pytest.raises(StaleWrite):
        environment_records.move(running, "tearing_down", ann.user_id)
    assert teardowns.begin(running, ann, None).status == "destroyed"


# --- what its workflows are given -----------------------------------------------------------


def test_the_workflows_get_ids_and_keys(ann: Principal, project: ProjectId) -> None:
    made = world.environment(project, ann, "preview", external_id="pr-1")
    item = environment_records.find(made)
    assert item

    given = environment_records.execution_input(item)

    assert json.loads(json.dumps(given)) == given
    assert given["environment_id"] == str(made)
    assert given["wakes_at"] == item["expires_at"]
    # It has never had a deployment, so it has no lock.
    assert given["keys"].pop("lock") == queue_records.lock(made).wire()
    for wire in given["keys"].values():
        [found] = table.get(table.Key(wire["pk"]["S"], wire["sk"]["S"]))
        assert found
    assert set(given["keys"]) == {
        *("environment", "external", "lease", "name", "project", "user_slot")
    }


def test_the_input_of_the_workflows_never_changes(ann: Principal, project: ProjectId) -> None:
    made = world.environment(project, ann, type="persistent")
    before = environment_records.find(made)
    world.comes_up(made)
    after = environment_records.find(made)

    assert before and after
    assert environment_records.execution_input(before) == environment_records.execution_input(after)
    assert environment_records.execution_input(before)["wakes_at"] == ""
