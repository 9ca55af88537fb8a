"""Names in the place of ids: of projects, and of environments within a project."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.store import naming, table
from slipway.store.table import Put
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Client
from tests.support.store import between, world

PROJECTS = "/api/v1/projects"
PR_7 = f"{PROJECTS}/payments/environments/pr-7"


@pytest.fixture
def project(ann: Client) -> ProjectId:
    return world.project(ann.principal, "payments")


@pytest.fixture
def environment(ann: Client, project: ProjectId) -> EnvironmentId:
    made = world.environment(project, ann.principal, "pr-7")
    world.comes_up(made)
    return made


def share(project: ProjectId, owner: Client, email: str, role: str = "viewer") -> None:
    added = owner.post(f"{PROJECTS}/{project}/members", {"email": email, "role": role})
    assert added.status == 201, added.json


@pytest.mark.parametrize("name", ["payments", "Payments", "PAYMENTS"])
def test_a_project_is_found_by_its_name_whatever_its_case(
    ann: Client, project: ProjectId, name: str
) -> None:
    by_id = ann.get(f"{PROJECTS}/{project}")

    for _ in range(2):
        assert ann.get(f"{PROJECTS}/{name}").raw == by_id.raw


def test_an_environment_is_found_by_both_names_or_either(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    by_id = ann.get(f"/api/v1/environments/{environment}")

    for p in ("payments", project):
        for e in ("pr-7", "PR-7", environment):
            assert ann.get(f"{PROJECTS}/{p}/environments/{e}").raw == by_id.raw


def test_whatever_takes_a_projects_id_takes_its_name(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    for path in (
        *("", "/environments", "/deployments", "/members", "/permissions", "/trusts", "/audit"),
        "/audit/verify",
    ):
        by_name = ann.get(f"{PROJECTS}/payments{path}")
        assert by_name.status == 200, path
        assert by_name.raw == ann.get(f"{PROJECTS}/{project}{path}").raw, path


def test_a_pipeline_needs_no_ids(ann: Client, project: ProjectId) -> None:
    body = {"name": "pr-8", "type": "ephemeral"}
    made = ann.post(f"{PROJECTS}/payments/environments", body)
    assert made.status == 201
    world.comes_up(EnvironmentId(*made.json["id"].split("_")[1:]))
    one = f"{PROJECTS}/payments/environments/pr-8"

    deployed = ann.post(f"{one}/deployments", {"version": "sha-1234567"})
    assert deployed.status == 201
    assert [each["id"] for each in ann.get(f"{one}/deployments").json] == [deployed.json["id"]]
    assert ann.patch(one, {"labels": {"team": "a"}}).json["labels"] == {"team": "a"}
    gone = ann.delete(one)

    assert (gone.status, gone.json["status"]) == (202, "tearing_down")
    entries = [each["target"]["id"] for each in ann.get(f"{PROJECTS}/{project}/audit").json]
    assert made.json["id"] in entries


def test_names_take_no_round_trip_more_once_they_are_known(
    ann: Client, project: ProjectId, environment: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann.get("/api/v1/auth/me")
    trips = between.counted(monkeypatch)

    for path, cold in ((PR_7, 3), (f"{PROJECTS}/payments", 1)):
        for expected in (cold, 1, 1):
            trips.clear()
            assert ann.get(path).status == 200
            assert len(trips) == expected, (path, trips)
    trips.clear()
    assert ann.patch(PR_7, {"labels": {"a": "b"}}).status == 200
    assert len(trips) == 2, trips


def test_a_name_that_leads_elsewhere_by_now_is_followed(ann: Client, project: ProjectId) -> None:
    body = {"name": "pr-7", "type": "ephemeral"}
    first = world.environment(project, ann.principal, "pr-7")
    assert ann.get(PR_7).json["id"] == str(first)
    world.is_destroyed(first)
    assert_refused(ann.get(PR_7), 404, "not_found")
    second = ann.post(f"{PROJECTS}/payments/environments", body).json["id"]
    assert ann.get(PR_7).json["id"] == second

    renamed = ann.patch(f"{PROJECTS}/payments", {"name": "billing"})
    assert renamed.status == 200
    assert_refused(ann.get(PR_7), 404, "not_found")
    other = world.project(ann.principal, "payments")
    assert ann.get(f"{PROJECTS}/payments").json["id"] == str(other)
    assert ann.get(f"{PROJECTS}/billing/environments/pr-7").json["id"] == second


def test_a_write_by_a_stale_name_changes_only_what_the_name_means_now(
    ann: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.environment(project, ann.principal, "pr-7")
    assert ann.get(PR_7).status == 200
    # Another process renames it and gives its name away: this one still guesses the first.
    assert ann.patch(f"/api/v1/environments/{first}", {"name": "old"}).status == 200
    second = world.environment(project, ann.principal, "pr-7")

    gone = ann.delete(PR_7)

    assert gone.json["id"] == str(second)
    assert ann.get(f"/api/v1/environments/{first}").json["status"] == "provisioning"


def test_two_projects_of_one_name_are_a_conflict_that_names_both(
    ann: Client, bob: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    assert ann.get(f"{PROJECTS}/payments").status == 200
    theirs = world.project(bob.principal, "Payments")
    share(theirs, bob, "ann@example.com")

    for path in (f"{PROJECTS}/payments", PR_7):
        with nothing_changes():
            answer = ann.get(path)
            assert_refused(answer, 409, "ambiguous_name")
            assert set(answer.json["project_ids"]) == {str(project), str(theirs)}
            assert_refused(ann.delete(path), 409, "ambiguous_name")
    assert bob.get(f"{PROJECTS}/payments").json["id"] == str(theirs)


def test_a_stranger_learns_nothing_from_names(
    ann: Client, bob: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    assert ann.get(PR_7).status == 200

    for path in (f"{PROJECTS}/payments", PR_7, f"{PROJECTS}/{project}/environments/pr-7"):
        here = bob.get(path)
        assert_refused(here, 404, "not_found")
        nowhere = bob.get(path.replace("payments", "nothing").replace("pr-7", "no"))
        assert here.json["detail"] == nowhere.json["detail"]


def test_a_limited_token_finds_only_what_it_may_see(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    other = world.project(ann.principal, "other")
    wanted = {"name": "CI", "kind": "ci", "scopes": ["read"], "project_ids": [str(other)]}
    made = ann.post("/api/v1/auth/tokens", wanted).json
    program = Client(made["token"], made["id"])
    assert ann.get(PR_7).status == 200

    for path in (f"{PROJECTS}/payments", PR_7, f"{PROJECTS}/payments/environments"):
        assert_refused(program.get(path), 404, "not_found")
    assert program.get(f"{PROJECTS}/other").status == 200


def test_an_environment_of_another_project_is_not_found_below_this_one(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    world.project(ann.principal, "other")

    assert_refused(ann.get(f"{PROJECTS}/other/environments/{environment}"), 404, "not_found")
    assert_refused(ann.get(f"{PROJECTS}/other/environments/pr-7"), 404, "not_found")


ODD: dict[str, str] = {
    "an id that is too short": "prj_01kaq3h5x0c2m9f7r4t",
    "an id of an environment": "env_01kaq3h5x0c2m9f7r4tz_01kaq3j8f1v6w3n0d5bq",
    "a long text": "x" * 3000,
    "letters that become long": "%EF%B7%BA" * 63,
    "a control character": "%01",
    "no character": "%EF%BF%BF",
    "spaces": "%20%20",
    "signs": "'();DROP",
    "a star": "*",
}


@pytest.mark.parametrize("name", ODD)
def test_what_cannot_be_a_name_is_not_found(ann: Client, project: ProjectId, name: str) -> None:
    for path in (f"{PROJECTS}/{ODD[name]}", f"{PROJECTS}/payments/environments/{ODD[name]}"):
        answer = ann.get(path)
        assert (answer.status, answer.json["code"]) == (404, "not_found")


def test_names_with_spaces_and_other_scripts_are_written_as_in_any_url(ann: Client) -> None:
    project = world.project(ann.principal, "Zahlungen für alle")
    made = world.environment(project, ann.principal, "vorschau nr. 7 (プレビュー)")
    named = (quote("zahlungen für alle"), quote("Vorschau Nr. 7 (プレビュー)"))
    path = f"{PROJECTS}/{named[0]}/environments/{named[1]}"

    for _ in range(2):
        assert ann.get(path).json["id"] == str(made)


def test_a_page_of_a_named_project_links_to_the_next_by_its_id(
    ann: Client, project: ProjectId
) -> None:
    for n in range(3):
        world.environment(project, ann.principal, f"e{n}")

    link = ann.get(f"{PROJECTS}/payments/environments", limit=1).headers["link"]

    assert f"/projects/{project}/environments?limit=1&cursor=" in link


def test_a_confirmed_request_is_of_the_environment_that_was_named_then(
    ann: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    wanted = {"name": "agent", "kind": "agent", "scopes": ["read", "destroy"]}
    made = ann.post("/api/v1/auth/tokens", wanted).json
    agent = Client(made["token"], made["id"])

    waits = agent.delete(PR_7)

    assert waits.status == 202
    asked: Any = waits.json
    assert asked["target"] == str(environment)
    assert str(environment) in str(asked.get("request", asked))
    assert "payments/" not in str(asked.get("request", ""))


def test_a_workload_may_name_its_project(ann: Client, project: ProjectId) -> None:
    from slipway.access import names
    from slipway.access.principal import Principal
    from slipway.domain import ids
    from slipway.errors import NotFound
    from slipway.store import project_records

    trust = f"trs_{project.p}_{ids.new_part()}"
    member = {"role": "deployer", "version": 1}
    table.write(Put(project_records.member(project, trust), member, condition=None))
    caller = Principal(trust, "projects:read")

    assert names.project("Payments", caller) == project
    with pytest.raises(NotFound):
        names.project("billing", caller)
    assert naming.pending() == ()
