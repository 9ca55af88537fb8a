"""Projects: who sees them, which names are unique, and how they are deleted."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.access.principal import Principal
from slipway.domain import ids
from slipway.domain.ids import ProjectId
from slipway.domain.project import Project
from slipway.errors import (
    Busy,
    Invalid,
    NameTaken,
    NotFound,
    PreconditionFailed,
    ProjectGoing,
    ProjectNotEmpty,
)
from slipway.services import environments, projects
from tests.support.store import between, world

pytestmark = pytest.mark.usefixtures("aws")

NOWHERE = ProjectId("0" * 20)


# --- to see ---------------------------------------------------------------------------------


def test_a_project_is_shown_as_it_was_created(ann: Principal) -> None:
    project = world.project(ann, "payments", description="takes money")

    shown = projects.get(project, ann)

    assert (shown.id, shown.name, shown.description) == (str(project), "payments", "takes money")
    assert (shown.repo_url, shown.status, shown.version) == (None, "active", 1)


def test_the_project_of_another_user_is_not_found(ann: Principal, bob: Principal) -> None:
    project = world.project(ann)

    for unseen, who in ((project, bob), (NOWHERE, ann)):
        with pytest.raises(NotFound):
            projects.get(unseen, who)
        with pytest.raises(NotFound):
            projects.remove(unseen, who, None, cascade=True)
    with pytest.raises(NotFound):
        projects.change(project, world.to_change(name="mine"), bob, None)
    assert projects.list_(bob, world.page()) == []
    assert projects.get(project, ann).name == "payments"


def test_a_project_is_one_round_trip_to_read(
    ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.project(ann)
    made = between.counted(monkeypatch)

    projects.get(project, ann)

    assert made == ["BatchGetItem"]


def test_a_list_pages_from_the_newest_to_the_oldest(ann: Principal, bob: Principal) -> None:
    made = [str(world.project(ann, f"p{n}")) for n in range(7)]
    world.project(bob, "his")
    found: list[str] = []
    cursor = None

    while True:
        page = projects.list_(ann, world.page(limit=3, cursor=cursor))
        found += [project.id for project in page]
        cursor = page.cursor
        if cursor is None:
            break

    assert sorted(found, reverse=True) == found
    assert set(found) == set(made)
    assert len(found) == 7


def test_a_new_project_does_not_shift_the_pages_of_a_list(ann: Principal) -> None:
    old = [str(world.project(ann, f"p{n}")) for n in range(4)]
    first = projects.list_(ann, world.page(limit=2))

    world.project(ann, "new")
    second = projects.list_(ann, world.page(limit=2, cursor=first.cursor))

    assert {project.id for project in [*first, *second]} == set(old)


def test_a_cursor_of_another_list_is_refused(ann: Principal) -> None:
    project = world.project(ann)
    for name in ("a", "b"):
        world.environment(project, ann, name)
    other = world.environments(project, ann, limit=1).cursor

    with pytest.raises(Invalid) as refused:
        projects.list_(ann, world.page(cursor=other))

    assert refused.value.fields[0].pointer == "?cursor"


# --- to make --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["payments", "Payments", "PAYMENTS", "p\uff41yments"])
def test_a_name_is_unique_for_its_owner_in_any_spelling(ann: Principal, name: str) -> None:
    world.project(ann, "payments")
    before = world.everything()

    with pytest.raises(NameTaken):
        world.project(ann, name)

    assert world.everything() == before


def test_two_owners_may_use_one_name(ann: Principal, bob: Principal) -> None:
    assert world.project(ann, "payments") != world.project(bob, "payments")


def test_one_of_many_simultaneous_requests_for_a_name_wins(
    ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = between.at_once(monkeypatch, *[lambda: world.project(ann) for _ in range(6)])

    won = [result for result in results if isinstance(result, ProjectId)]
    lost = [result for result in results if isinstance(result, NameTaken)]
    assert (len(won), len(lost)) == (1, 5)
    assert [project.id for project in projects.list_(ann, world.page())] == [str(won[0])]


# --- to change ------------------------------------------------------------------------------


def test_a_change_is_seen_alone_and_in_the_list(ann: Principal) -> None:
    project = world.project(ann, description="old", repo_url="https://example.com/x")

    change = world.to_change(name="billing", description="new", repo_url=None)
    shown = projects.change(project, change, ann, None)

    assert (shown.name, shown.description, shown.repo_url) == ("billing", "new", None)
    assert shown.version == 2
    assert projects.get(project, ann) == shown
    assert list(projects.list_(ann, world.page())) == [shown]


def test_fields_that_a_change_omits_stay(ann: Principal) -> None:
    project = world.project(ann, description="old", repo_url="https://example.com/x")

    shown = projects.change(project, world.to_change(description=None), ann, None)

    assert (shown.name, shown.description) == ("payments", None)
    assert shown.repo_url == "https://example.com/x"


def test_renaming_frees_the_old_name_and_takes_the_new_one(ann: Principal) -> None:
    project = world.project(ann, "payments")

    projects.change(project, world.to_change(name="billing"), ann, None)

    assert world.project(ann, "payments")
    with pytest.raises(NameTaken):
        world.project(ann, "Billing")


def test_a_name_may_change_its_spelling(ann: Principal) -> None:
    project = world.project(ann, "payments")

    assert projects.change(project, world.to_change(name="Payments"), ann, None).name == "Payments"
    with pytest.raises(NameTaken):
        world.project(ann, "payments")


def test_a_name_in_use_cannot_be_taken_by_a_change(ann: Principal) -> None:
    world.project(ann, "billing")
    project = world.project(ann, "payments")
    before = world.everything()

    with pytest.raises(NameTaken):
        projects.change(project, world.to_change(name="billing", description="x"), ann, None)

    assert world.everything() == before


def test_a_change_of_another_version_is_refused(ann: Principal) -> None:
    project = world.project(ann)
    projects.change(project, world.to_change(description="hers"), ann, {1})
    before = world.everything()

    for version in (1, 3, -1):
        with pytest.raises(PreconditionFailed):
            projects.change(project, world.to_change(description="his"), ann, {version})

    assert world.everything() == before


def test_a_change_never_overwrites_an_unseen_change(
    ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.project(ann)
    hers = world.to_change(description="hers")
    between.first(
        monkeypatch, "TransactWriteItems", lambda: projects.change(project, hers, ann, None)
    )

    with pytest.raises(PreconditionFailed):
        projects.change(project, world.to_change(description="his"), ann, {1})

    assert projects.get(project, ann).description == "hers"


def test_one_of_two_simultaneous_renames_to_one_name_wins(
    ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = world.project(ann, "one"), world.project(ann, "two")
    change = world.to_change(name="new")
    between.first(
        monkeypatch, "TransactWriteItems", lambda: projects.change(one, change, ann, None)
    )

    with pytest.raises(NameTaken):
        projects.change(two, change, ann, None)

    assert projects.get(two, ann).name == "two"
    with pytest.raises(NameTaken):
        world.project(ann, "two")


def test_a_change_is_two_round_trips(ann: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    project = world.project(ann)
    made = between.counted(monkeypatch)

    projects.change(project, world.to_change(name="billing"), ann, None)

    # The members are read along, because each has a copy of the project in a list.
    assert made == ["Query + BatchGetItem", "TransactWriteItems"]


# --- to remove ------------------------------------------------------------------------------


def test_an_empty_project_leaves_nothing_behind(ann: Principal) -> None:
    def without_counters() -> list[Any]:
        # Dispatch removes the note that the project was deleted.
        others = ("PROJECTS", "ENDED")
        return [item for item in world.everything() if item["sk"]["S"] not in others]

    before = without_counters()
    project = world.project(ann)

    assert projects.remove(project, ann, None, cascade=False) is None

    assert without_counters() == before
    with pytest.raises(NotFound):
        projects.get(project, ann)
    assert world.project(ann)


def test_a_cascade_deletes_an_empty_project_at_once(ann: Principal) -> None:
    project = world.project(ann)

    assert projects.remove(project, ann, None, cascade=True) is None
    with pytest.raises(NotFound):
        projects.remove(project, ann, None, cascade=True)


def test_a_project_with_environments_is_kept_and_lists_them(ann: Principal) -> None:
    project = world.project(ann)
    one = world.environment(project, ann, "one")
    gone = world.environment(project, ann, "gone")
    world.is_destroyed(gone)
    before = world.everything()

    with pytest.raises(ProjectNotEmpty) as refused:
        projects.remove(project, ann, None, cascade=False)

    assert refused.value.extra == {"environments": [{"id": str(one), "name": "one"}]}
    assert world.everything() == before


def test_a_project_whose_environments_are_destroyed_can_be_deleted(ann: Principal) -> None:
    project = world.project(ann)
    environment = world.environment(project, ann)
    world.is_destroyed(environment)

    assert projects.remove(project, ann, None, cascade=False) is None
    with pytest.raises(NotFound):
        environments.get(environment, ann)


def test_no_environment_is_added_to_a_project_that_is_being_deleted(
    ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.project(ann)
    between.first(
        monkeypatch, "TransactWriteItems", lambda: world.environment(project, ann, "late")
    )

    with pytest.raises(ProjectNotEmpty):
        projects.remove(project, ann, None, cascade=False)

    assert projects.get(project, ann).status == "active"
    assert len(world.environments(project, ann)) == 1


def test_a_project_is_not_deleted_while_an_environment_is_added(
    ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.project(ann)
    between.first(
        monkeypatch,
        "TransactWriteItems",
        lambda: projects.remove(project, ann, None, cascade=False),
    )

    with pytest.raises(NotFound):
        world.environment(project, ann, "late")


def test_a_cascade_marks_the_project_and_tears_down_its_environments(ann: Principal) -> None:
    project = world.project(ann)
    living = world.environment(project, ann, "living")
    gone = world.environment(project, ann, "gone")
    world.is_destroyed(gone)

    going = projects.remove(project, ann, None, cascade=True)

    assert going
    assert (going.status, going.version) == ("deleting", 2)
    assert list(projects.list_(ann, world.page())) == [going]
    asked_by = {"id": ann.user_id, "kind": "user"}
    assert list(projects.to_tear_down(project)) == [(living, asked_by)]


def test_a_cascade_over_many_environments_misses_none(
    ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.project(ann)
    made = {world.environment(project, ann, f"e{n}") for n in range(5)}
    projects.remove(project, ann, None, cascade=True)
    between.short_pages(monkeypatch)

    found = list(projects.to_tear_down(project))

    assert {environment for environment, _ in found} == made
    assert [asked_by for _, asked_by in found] == [{"id": ann.user_id, "kind": "user"}] * 5
    assert len(found) == 5


def test_no_environment_is_torn_down_in_a_project_that_stays(ann: Principal) -> None:
    project = world.project(ann)
    world.environment(project, ann)

    assert list(projects.to_tear_down(project)) == []
    assert list(projects.to_tear_down(NOWHERE)) == []


def test_repeating_a_cascade_changes_nothing(ann: Principal) -> None:
    project = world.project(ann)
    world.environment(project, ann)
    going = projects.remove(project, ann, None, cascade=True)
    before = world.everything()

    assert projects.remove(project, ann, None, cascade=True) == going
    assert world.everything() == before


def test_one_of_two_simultaneous_cascades_begins_and_both_return_it(
    ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.project(ann)
    world.environment(project, ann)

    results = between.at_once(
        monkeypatch, *[lambda: projects.remove(project, ann, None, cascade=True)] * 3
    )

    assert [result.version for result in results if isinstance(result, Project)] == [2, 2, 2]


def test_a_project_that_is_being_deleted_takes_no_change_and_no_environment(ann: Principal) -> None:
    project = world.project(ann)
    world.environment(project, ann)
    projects.remove(project, ann, None, cascade=True)
    before = world.everything()

    with pytest.raises(ProjectGoing):
        projects.change(project, world.to_change(name="new"), ann, None)
    with pytest.raises(ProjectGoing):
        world.environment(project, ann, "late")

    assert world.everything() == before


def test_a_project_is_erased_when_its_last_environment_is(ann: Principal) -> None:
    project = world.project(ann)
    one, two = (world.environment(project, ann, name) for name in ("one", "two"))
    projects.remove(project, ann, None, cascade=True)

    world.is_destroyed(one)
    projects.erase_if_empty(project)
    assert projects.get(project, ann).status == "deleting"
    world.is_destroyed(two)
    projects.erase_if_empty(project)
    projects.erase_if_empty(project)

    with pytest.raises(NotFound):
        projects.get(project, ann)
    assert projects.list_(ann, world.page()) == []
    assert world.project(ann, "payments")


def test_a_project_that_stays_is_never_erased(ann: Principal) -> None:
    project = world.project(ann)

    projects.erase_if_empty(project)
    projects.erase_if_empty(NOWHERE)

    assert projects.get(project, ann).status == "active"


def test_the_end_of_the_last_environment_erases_the_project_once(
    ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.project(ann)
    environment = world.environment(project, ann)
    projects.remove(project, ann, None, cascade=True)
    world.is_destroyed(environment)
    between.first(monkeypatch, "TransactWriteItems", lambda: projects.erase_if_empty(project))

    projects.erase_if_empty(project)

    with pytest.raises(NotFound):
        projects.get(project, ann)


def test_removing_another_version_is_refused(ann: Principal) -> None:
    project = world.project(ann)
    before = world.everything()

    for version in (0, 2, -1):
        with pytest.raises(PreconditionFailed):
            projects.remove(project, ann, {version}, cascade=True)

    assert world.everything() == before
    assert projects.remove(project, ann, {1}, cascade=False) is None


@pytest.mark.parametrize("cascade", [False, True], ids=["alone", "with a cascade"])
@pytest.mark.parametrize("environments", [0, 1])
def test_a_version_that_the_caller_has_not_seen_is_not_removed(
    ann: Principal, monkeypatch: pytest.MonkeyPatch, cascade: bool, environments: int
) -> None:
    project = world.project(ann)
    for n in range(environments):
        world.environment(project, ann, f"e{n}")
    change = world.to_change(description="changed meanwhile")
    between.first(
        monkeypatch,
        "TransactWriteItems",
        lambda: projects.change(project, change, ann, None),
    )

    with pytest.raises((PreconditionFailed, ProjectNotEmpty)):
        projects.remove(project, ann, {1}, cascade=cascade)

    shown = projects.get(project, ann)
    assert (shown.status, shown.description) == ("active", "changed meanwhile")


def test_a_name_that_changes_during_the_deletion_is_not_left_behind(
    ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.project(ann, "old")
    change = world.to_change(name="new")
    between.first(
        monkeypatch,
        "TransactWriteItems",
        lambda: projects.change(project, change, ann, None),
    )

    assert projects.remove(project, ann, None, cascade=False) is None

    assert {world.project(ann, "old"), world.project(ann, "new")}


def test_a_cascade_on_a_project_that_was_deleted_meanwhile_is_not_found(
    ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.project(ann)
    environment = world.environment(project, ann)

    def somebody_else_was_faster() -> None:
        world.is_destroyed(environment)
        projects.remove(project, ann, None, cascade=False)

    between.first(monkeypatch, "TransactWriteItems", somebody_else_was_faster)

    with pytest.raises(NotFound):
        projects.remove(project, ann, None, cascade=True)


def describes_it_first(
    monkeypatch: pytest.MonkeyPatch, project: ProjectId, who: Principal, description: str
) -> None:
    """The next write to the project finds that it was changed just before."""
    change = world.to_change(description=description)
    between.first(
        monkeypatch,
        "TransactWriteItems",
        lambda: projects.change(project, change, who, None),
    )


def test_a_cascade_continues_after_a_change_by_another_user(
    ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.project(ann)
    world.environment(project, ann)
    describes_it_first(monkeypatch, project, ann, "going")

    shown = projects.remove(project, ann, None, cascade=True)

    assert shown and shown == projects.get(project, ann)
    assert (shown.status, shown.version, shown.description) == ("deleting", 3, "going")


def test_a_cascade_with_an_outdated_version_does_not_begin(
    ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.project(ann)
    world.environment(project, ann)
    describes_it_first(monkeypatch, project, ann, "staying")

    with pytest.raises(PreconditionFailed):
        projects.remove(project, ann, {1}, cascade=True)

    assert projects.get(project, ann).status == "active"


def test_a_project_that_keeps_changing_is_busy(
    ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = world.project(ann)
    world.environment(project, ann)

    def again() -> None:
        version = projects.get(project, ann).version
        projects.change(project, world.to_change(description=f"{version}"), ann, None)
        between.first(monkeypatch, "TransactWriteItems", again)

    between.first(monkeypatch, "TransactWriteItems", again)

    with pytest.raises(Busy):
        projects.remove(project, ann, None, cascade=True)


def test_the_id_of_a_project_can_be_parsed_again(ann: Principal) -> None:
    project = world.project(ann)

    assert ids.parse_project(projects.get(project, ann).id) == project
