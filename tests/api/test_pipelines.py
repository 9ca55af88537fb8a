"""Pipelines: a project's stages, and what is live in them."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.domain import ids
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.pipeline import MOST_ENVIRONMENTS
from slipway.store import environment_records, pipeline_records, table
from slipway.store.table import Update
from tests.support.api.client import Answer, Client
from tests.support.api.people import joins, signed_in
from tests.support.store import world


@pytest.fixture
def path(project: ProjectId) -> str:
    return f"/api/v1/projects/{project}/pipeline"


@pytest.fixture
def stages_path(project: ProjectId) -> str:
    return f"/api/v1/projects/{project}/stages"


def running(project: ProjectId, owner: Client, name: str, **fields: Any) -> EnvironmentId:
    made = world.environment(project, owner.principal, name, **fields)
    world.comes_up(made)
    return made


@pytest.fixture
def staging(project: ProjectId, ann: Client) -> EnvironmentId:
    return running(project, ann, "staging", tier="staging")


@pytest.fixture
def production(project: ProjectId, ann: Client) -> EnvironmentId:
    return running(project, ann, "production", tier="production")


def pipeline(*stages: tuple[str, list[EnvironmentId]], **rules: int) -> dict[str, Any]:
    return {
        "stages": [
            {"name": name, "environment_ids": [*map(str, found)], "rules": rules}
            for name, found in stages
        ]
    }


def is_live(environment: EnvironmentId, version: str, since: str, **fields: Any) -> None:
    """What the end of a rollout writes."""
    deployment = f"dep_{environment.p}_{environment.e}_{ids.new_part()}"
    values = {"live_version": version, "live_since": since, "live_deployment_id": deployment}
    change, values = table.setting({**values, **fields})
    table.write(Update(environment_records.key(environment), change, values))


def code(answered: Answer) -> tuple[int, str]:
    return answered.status, answered.json["code"]


def pointers(answered: Answer) -> list[str]:
    assert code(answered) == (422, "invalid_request"), answered.text
    return [each["pointer"] for each in answered.json["errors"]]


def test_a_project_without_a_pipeline_has_no_stages(
    ann: Client, path: str, stages_path: str, project: ProjectId
) -> None:
    answered = ann.get(path)

    assert (answered.status, answered.headers["etag"]) == (200, '"0"')
    assert answered.json["project_id"] == str(project)
    assert answered.json["stages"] == []
    assert ann.get(stages_path).json == []


def test_a_pipeline_is_replaced_as_a_whole(
    ann: Client, path: str, staging: EnvironmentId, production: EnvironmentId
) -> None:
    first = ann.put(path, pipeline(("Staging", [staging]), ("Production", [production])))

    assert (first.status, first.headers["etag"]) == (200, '"1"')
    assert [each["name"] for each in first.json["stages"]] == ["Staging", "Production"]
    assert first.json["stages"][0]["rules"] == {"min_soak": 0}
    assert first.json["updated_by"]["id"] == ann.user_id
    assert ann.get(path).json == first.json

    second = ann.put(path, pipeline(("Production", [production]), min_soak=60))

    assert second.json["version"] == 2
    assert [each["rules"] for each in second.json["stages"]] == [{"min_soak": 60}]


def test_what_is_read_can_be_sent_back_and_changes_nothing(
    ann: Client, path: str, staging: EnvironmentId
) -> None:
    ann.put(path, pipeline(("Staging", [staging])))
    read = ann.get(path)

    assert ann.put(path, read.json).json == read.json
    world.is_destroyed(staging)
    assert ann.put(path, read.json).json == read.json
    assert pointers(ann.put(path, {**read.json, "version": 7})) == ["#/version"]


def test_a_pipeline_that_has_changed_meanwhile_is_not_overwritten(
    ann: Client, path: str, staging: EnvironmentId
) -> None:
    wanted = pipeline(("Staging", [staging]))

    assert code(ann.with_headers(if_match='"1"').put(path, wanted))[0] == 412
    assert ann.with_headers(if_match='"0"').put(path, wanted).status == 200
    assert code(ann.with_headers(if_match='"0"').put(path, wanted))[0] == 412
    assert ann.get(path).json["version"] == 1


def test_an_environment_that_is_not_of_the_project_is_refused_with_its_place(
    ann: Client, bob: Client, path: str, staging: EnvironmentId, project: ProjectId
) -> None:
    foreign = running(world.project(bob.principal, "other"), bob, "live")
    missing = EnvironmentId(project.p, ids.new_part())
    destroyed = running(project, ann, "old")
    world.is_destroyed(destroyed)
    places = ["#/stages/0/environment_ids/1"]

    for other in (foreign, missing, destroyed):
        assert pointers(ann.put(path, pipeline(("Staging", [staging, other])))) == places
    of_another = EnvironmentId(project.p, foreign.e)
    assert pointers(ann.put(path, pipeline(("Staging", [staging, of_another])))) == places
    wanted = {"stages": [{"name": "Staging", "environment_ids": [str(staging), "staging"]}]}
    assert pointers(ann.put(path, wanted)) == places
    assert ann.get(path).json["version"] == 0


@pytest.mark.parametrize(
    "stages,pointer",
    [
        ([{"name": ""}], "#/stages/0/name"),
        ([{"name": "a", "rules": {"min_soak": -1}}], "#/stages/0/rules/min_soak"),
        ([{"name": "a", "rules": {"min_soak": 10**9}}], "#/stages/0/rules/min_soak"),
        ([{"name": "a", "rules": {"min_soak": "1h"}}], "#/stages/0/rules/min_soak"),
        ([{"name": "a", "rules": {"soak": 1}}], "#/stages/0/rules/soak"),
        ([{"name": "a"}, {"name": "A"}], "#/stages"),
        ([{"name": f"{n}"} for n in range(11)], "#/stages"),
        ("staging", "#/stages"),
    ],
)
def test_bad_stages_are_refused_with_a_pointer(
    ann: Client, path: str, stages: Any, pointer: str
) -> None:
    assert pointers(ann.put(path, {"stages": stages})) == [pointer]


def test_an_environment_is_in_one_stage_and_their_number_is_bounded(
    ann: Client, path: str, staging: EnvironmentId
) -> None:
    twice = pipeline(("a", [staging]), ("b", [staging]))
    many = [EnvironmentId(staging.p, ids.new_part()) for _ in range(MOST_ENVIRONMENTS)]

    assert pointers(ann.put(path, twice)) == ["#/stages"]
    assert pointers(ann.put(path, pipeline(("a", many), ("b", [staging])))) == ["#/stages"]


def test_maintainers_change_a_pipeline_and_viewers_read_it(
    ann: Client, bob: Client, path: str, stages_path: str, project: ProjectId
) -> None:
    assert bob.get(path).status == bob.put(path, pipeline()).status == 404
    assert bob.get(stages_path).status == 404
    viewer = joins(project, bob, "viewer")
    assert viewer.get(path).status == viewer.get(stages_path).status == 200
    assert viewer.put(path, pipeline()).status == 403
    deployer = joins(project, signed_in("carl@example.com"), "deployer")
    assert deployer.put(path, pipeline()).status == 403
    maintainer = joins(project, signed_in("dora@example.com"), "maintainer")
    assert maintainer.put(path, pipeline(("a", []))).status == 200


def test_a_token_of_some_environments_sees_only_those(
    ann: Client,
    path: str,
    stages_path: str,
    staging: EnvironmentId,
    production: EnvironmentId,
) -> None:
    ann.put(path, pipeline(("Staging", [staging]), ("Production", [production])))
    wanted = {"name": "CI", "kind": "ci", "scopes": ["read", "config"]}
    for limit in ({"environment_ids": [str(staging)]}, {"tiers": ["staging"]}):
        made = ann.post("/api/v1/auth/tokens", {**wanted, **limit}).json
        token = Client(made["token"], made["id"])

        seen = [each["environment_ids"] for each in token.get(path).json["stages"]]
        assert seen == [[str(staging)], []]
        shown = [each["environments"] for each in token.get(stages_path).json]
        assert [len(each) for each in shown] == [1, 0]
        assert token.put(path, pipeline()).status == 403


def test_a_project_that_is_being_deleted_gets_no_pipeline(
    ann: Client, path: str, project: ProjectId, staging: EnvironmentId
) -> None:
    assert ann.delete(f"/api/v1/projects/{project}", cascade="true").status == 202

    assert code(ann.put(path, pipeline(("a", [])))) == (409, "project_going")


def test_of_two_who_replace_it_at_once_one_sees_the_other(
    ann: Client, path: str, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one's write finds another version, reads again, and comes after the first."""
    written = pipeline_records.written

    def overtaken(*arguments: Any) -> Update:
        monkeypatch.undo()
        assert ann.put(path, pipeline(("first", []))).status == 200
        return written(*arguments)

    monkeypatch.setattr(pipeline_records, "written", overtaken)

    answered = ann.put(path, pipeline(("second", [])))

    assert (answered.status, answered.json["version"]) == (200, 2)
    assert [each["name"] for each in ann.get(path).json["stages"]] == ["second"]


def test_stages_show_what_is_live_since_when_by_whom_and_how_far_behind(
    ann: Client,
    path: str,
    stages_path: str,
    staging: EnvironmentId,
    production: EnvironmentId,
) -> None:
    ann.put(path, pipeline(("Staging", [staging]), ("Production", [production])))
    by = {"id": ann.user_id, "kind": "user", "name": "ann@example.com"}
    history = [{"id": f"dep_{n}", "version": f"v{n}"} for n in (3, 2, 1, 0)]
    since = "2026-11-03T00:00:00.000Z"
    is_live(staging, "v3", since, live_by=by, live_history=history)
    is_live(production, "v1", "2026-11-01T00:00:00.000Z")

    first, last = ann.get(stages_path).json

    [shown] = first["environments"]
    assert (first["name"], shown["name"], shown["tier"]) == ("Staging", "staging", "staging")
    assert (shown["version"], shown["since"]) == ("v3", "2026-11-03T00:00:00.000Z")
    assert (shown["by"], shown["behind"]) == (by, None)
    [behind] = last["environments"]
    assert behind["version"] == "v1"
    assert behind["behind"]["environment_id"] == str(staging)
    assert (behind["behind"]["version"], behind["behind"]["deployments"]) == ("v3", 2)
    assert behind["behind"]["since"] == "2026-11-03T00:00:00.000Z"

    is_live(production, "v3", "2026-11-04T00:00:00.000Z")

    assert ann.get(stages_path).json[1]["environments"][0]["behind"] is None


def test_stages_leave_out_what_is_destroyed_and_find_what_the_index_lacks(
    ann: Client,
    path: str,
    stages_path: str,
    staging: EnvironmentId,
    production: EnvironmentId,
) -> None:
    ann.put(path, pipeline(("Staging", [staging]), ("Production", [production])))
    world.is_destroyed(staging)
    # As before the index has it.
    key = environment_records.key(production)
    table.write(Update(key, "REMOVE listed, listed_at", {}))

    shown = [[each["name"] for each in one["environments"]] for one in ann.get(stages_path).json]

    assert shown == [[], ["production"]]
