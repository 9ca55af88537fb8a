"""PATCH and DELETE of a template: who may, what stops it, and what is left."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.aws import template_bodies
from slipway.domain import ids
from slipway.domain.ids import ProjectId
from slipway.services import template_changes
from slipway.store import quota_records, table, template_records
from slipway.store.table import Delete, Update
from tests.support.api.checks import assert_refused, nothing_changes
from tests.support.api.client import Answer, Client
from tests.support.api.registering import set_parameters
from tests.support.store import between, world
from tests.support.store.cloudformation import CloudFormation

TEMPLATES = "/api/v1/templates"
WEB = f"{TEMPLATES}/web"
BODY = "Resources: {Jobs: {Type: AWS::SQS::Queue}}"


@pytest.fixture(autouse=True)
def cloudformation(monkeypatch: pytest.MonkeyPatch) -> None:
    word = CloudFormation()
    monkeypatch.setattr(template_bodies, "_cloudformation", lambda: word)


@pytest.fixture
def web(ann: Client) -> Client:
    """The owner of a template without versions."""
    assert ann.post(TEMPLATES, {"name": "web", "description": "A queue."}).status == 201
    return ann


@pytest.fixture
def draft(web: Client) -> Client:
    """The owner of a template with a draft."""
    assert add(web).status == 201
    return web


@pytest.fixture
def published(draft: Client) -> Client:
    """The owner of a template with a published version."""
    assert draft.post(f"{WEB}/versions/1.0/publish").status == 200
    return draft


def add(owner: Client, version: str = "") -> Answer:
    query = f"version={version}" if version else ""
    return owner.send("POST", f"{WEB}/versions", BODY, media="application/yaml", query=query)


def environment(owner: Client, project: ProjectId, name: str = "one") -> Answer:
    wanted = {"name": name, "type": "ephemeral", "template": "web"}
    return owner.post(f"/api/v1/environments/projects/{project}", wanted)


def sure(client: Client) -> Client:
    return client.with_headers(x_confirm="web")


def templates_of(client: Client) -> int:
    [counter] = table.get(quota_records.templates_of(client.user_id))
    return int(counter["used"])


def left_of_it() -> list[Any]:
    """The items of the template."""
    return [
        item
        for item in world.everything()
        if item["pk"]["S"] in ("TEMPLATE#web", "QUOTA#web") or item["sk"]["S"] == "TEMPLATE#web"
    ]


# --- PATCH ------------------------------------------------------------------------------------


def test_a_template_is_described_anew(web: Client) -> None:
    before = web.get(WEB).json

    answer = web.patch(WEB, {"description": "Two queues."})

    moved = {"version": 2, "updated_at": answer.json["updated_at"], "description": "Two queues."}
    assert (answer.status, answer.json) == (200, {**before, **moved})
    assert answer.headers["etag"] == '"2"'
    assert web.get(WEB).json == answer.json
    assert web.patch(WEB, {"description": None}).json["description"] is None


def test_the_same_description_writes_nothing(web: Client) -> None:
    with nothing_changes():
        answer = web.patch(WEB, {"description": "A queue."})

    assert (answer.status, answer.headers["etag"]) == (200, '"1"')


def test_a_template_keeps_its_name(web: Client) -> None:
    with nothing_changes():
        answer = web.patch(WEB, {"name": "other", "description": "x"})

    assert_refused(answer, 422, "invalid_request", "#/name")
    assert "create another template" in answer.json["errors"][0]["detail"]


def test_only_its_owner_changes_and_deletes_a_template(web: Client, bob: Client) -> None:
    with nothing_changes():
        answers = [bob.patch(WEB, {"description": "mine"}), sure(bob).delete(WEB)]

    for answer in answers:
        assert_refused(answer, 403, "forbidden")


def test_what_does_not_exist_is_not_found(ann: Client) -> None:
    for name in ("web", "Web", "a" * 64, "%20"):
        path = f"{TEMPLATES}/{name}"
        assert_refused(ann.patch(path, {"description": "x"}), 404, "not_found")
        assert_refused(ann.delete(path), 404, "not_found")


@pytest.mark.parametrize("tag", ['"1"', '"9"', 'W/"2"', "x"])
def test_another_version_is_neither_changed_nor_deleted(draft: Client, tag: str) -> None:
    draft.patch(WEB, {"description": "second"})
    stale = draft.with_headers(if_match=tag)

    with nothing_changes():
        answers = [stale.patch(WEB, {"description": "x"}), stale.delete(WEB)]

    for answer in answers:
        assert_refused(answer, 412, "precondition_failed")
    assert draft.with_headers(if_match='"2"').delete(WEB).status == 204


def test_the_body_of_a_draft_can_be_sent_back(draft: Client) -> None:
    here = f"{WEB}/versions/1.0"
    body, seen = draft.get(f"{here}/body"), draft.get(here)
    sent = draft.with_headers(if_match=seen.headers["etag"])

    with nothing_changes():
        media = body.headers["content-type"]
        answers = [each.send("PUT", here, body.raw, media=media) for each in (draft, sent)]

    for answer in answers:
        assert (answer.status, answer.json) == (200, seen.json)
        assert answer.headers["etag"] == seen.headers["etag"]


def test_the_same_body_is_checked_again_once_the_rules_have_changed(
    draft: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_parameters(monkeypatch, ALLOWED_RESOURCE_TYPES="AWS::SNS::Topic")

    answer = draft.send("PUT", f"{WEB}/versions/1.0", BODY, media="application/yaml")

    assert answer.status == 422


# --- DELETE -----------------------------------------------------------------------------------


def test_a_template_with_drafts_alone_goes_at_once(draft: Client) -> None:
    assert draft.delete(WEB).status == 204

    assert left_of_it() == []
    assert draft.get(WEB).status == draft.delete(WEB).status == 404
    assert draft.get(f"{WEB}/versions/1.0").status == 404
    assert draft.get(TEMPLATES).json == []


def test_its_place_in_the_quota_is_free_again(draft: Client) -> None:
    assert templates_of(draft) == 1

    draft.delete(WEB)

    assert templates_of(draft) == 0


def test_its_name_can_be_used_again_by_somebody_else(published: Client, bob: Client) -> None:
    sure(published).delete(WEB)

    assert bob.post(TEMPLATES, {"name": "web"}).status == 201
    assert bob.get(f"{WEB}/versions").json == []
    assert add(bob).json["version"] == "1.0"
    assert bob.get(WEB).json["created_by"]["id"] == bob.user_id


@pytest.mark.parametrize("sent", [None, "", "WEB", "other"])
def test_a_published_version_needs_the_name(published: Client, sent: str | None) -> None:
    client = published if sent is None else published.with_headers(x_confirm=sent)

    with nothing_changes():
        answer = client.delete(WEB)

    assert_refused(answer, 409, "confirmation_required")
    assert answer.json["name"] == "web"
    assert sure(published).delete(WEB).status == 204


def test_so_does_a_deprecated_one(published: Client) -> None:
    published.post(f"{WEB}/versions/1.0/deprecate")

    assert published.delete(WEB).status == 409
    assert sure(published).delete(WEB).status == 204


def test_a_template_in_use_stays(published: Client, project: ProjectId) -> None:
    assert environment(published, project).status == 201
    assert environment(published, project, "two").status == 201

    with nothing_changes():
        answer = sure(published).delete(WEB)

    assert_refused(answer, 409, "template_in_use")
    assert (answer.json["used"], answer.json["list"]) == (2, f"{WEB}/environments")


def test_it_goes_once_its_environments_are_destroyed(published: Client, project: ProjectId) -> None:
    made = ids.parse_environment(environment(published, project).json["id"])
    world.is_destroyed(made)
    _dispatched(made)

    assert sure(published).delete(WEB).status == 204
    # What the table's stream may bring later says nothing of a use.
    _dispatched(made)
    assert published.post(TEMPLATES, {"name": "web"}).status == 201
    assert published.delete(WEB).status == 204


def _dispatched(made: ids.EnvironmentId) -> None:
    from slipway.store import environment_records

    item = environment_records.find(made)
    assert item
    template_records.update_use(item)


def test_it_goes_although_the_use_of_a_destroyed_environment_is_forgotten(
    published: Client, project: ProjectId
) -> None:
    made = ids.parse_environment(environment(published, project).json["id"])
    world.is_destroyed(made)
    table.write(Delete(template_records.used_key("web", str(made))))

    assert sure(published).delete(WEB).status == 204


def test_a_use_that_was_not_read_stops_it(published: Client, project: ProjectId) -> None:
    # The uses are read a moment before the item of the last one, so the newest is missing.
    made = environment(published, project).json["id"]
    table.write(Delete(template_records.used_key("web", made)))

    with nothing_changes():
        answer = sure(published).delete(WEB)

    assert_refused(answer, 409, "template_in_use")


def test_an_environment_that_is_created_meanwhile_stops_it(
    published: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Answer] = []
    between.first(
        monkeypatch,
        "TransactWriteItems",
        lambda: made.append(environment(published, project)),
    )

    answer = sure(published).delete(WEB)

    assert made[0].status == 201
    assert_refused(answer, 409, "template_in_use")
    assert published.get(WEB).status == 200


def test_nothing_is_created_of_what_is_deleted_meanwhile(
    published: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    between.first(monkeypatch, "TransactWriteItems", lambda: sure(published).delete(WEB))

    answer = environment(published, project)

    assert_refused(answer, 422, "invalid_request", "#/template")
    assert left_of_it() == []


def test_of_many_creations_and_a_deletion_either_wins_as_a_whole(
    published: Client, project: ProjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    creations = [lambda n=n: environment(published, project, f"e{n}") for n in range(4)]

    deleted, *made = between.at_once(monkeypatch, lambda: sure(published).delete(WEB), *creations)

    assert isinstance(deleted, Answer)
    statuses = {each.status for each in made if isinstance(each, Answer)}
    if deleted.status == 204:
        assert statuses == {422}
        assert left_of_it() == []
    else:
        assert deleted.status in (409, 429)
        assert statuses == {201}


def test_a_version_that_is_added_meanwhile_is_deleted_as_well(
    draft: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    between.first(monkeypatch, "TransactWriteItems", lambda: add(draft))

    assert draft.delete(WEB).status == 204

    assert left_of_it() == []


def test_no_version_is_added_to_what_is_deleted_meanwhile(
    draft: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    between.first(monkeypatch, "TransactWriteItems", lambda: draft.delete(WEB))

    answer = add(draft)

    assert_refused(answer, 404, "not_found")
    assert left_of_it() == []


def test_a_version_that_is_published_meanwhile_needs_the_name(
    draft: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    between.first(
        monkeypatch,
        "TransactWriteItems",
        lambda: draft.post(f"{WEB}/versions/1.0/publish"),
    )

    assert_refused(draft.delete(WEB), 409, "confirmation_required")


@pytest.mark.parametrize("versions", [4, 5, 6, 7])
def test_more_versions_than_fit_a_transaction_go_as_well(
    draft: Client, monkeypatch: pytest.MonkeyPatch, versions: int
) -> None:
    monkeypatch.setattr(template_changes, "_AT_ONCE", 3)
    for _ in range(versions - 1):
        assert add(draft).status == 201

    assert draft.delete(WEB).status == 204

    assert left_of_it() == []


def test_a_deletion_that_is_interrupted_between_versions_goes_on(
    draft: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_changes, "_AT_ONCE", 2)
    for _ in range(4):
        assert add(draft).status == 201
    commit, calls = template_changes._commit, [0]

    def dies_after_the_first(transaction: Any) -> bool:
        calls[0] += 1
        if calls[0] == 2:
            raise SystemExit
        return commit(transaction)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(template_changes, "_commit", dies_after_the_first)
        draft.delete(WEB)

    assert [each["version"] for each in draft.get(f"{WEB}/versions").json] == ["1.4", "1.3", "1.2"]
    [counter] = table.get(quota_records.versions_of("web"))
    assert counter["used"] == 3
    assert draft.delete(WEB).status == 204
    assert left_of_it() == []


def test_a_template_of_an_earlier_release_is_deleted(published: Client) -> None:
    """One without the counter of its versions."""
    table.write(Delete(quota_records.versions_of("web")))

    assert sure(published).delete(WEB).status == 204
    assert left_of_it() == []


def test_a_deletion_costs_two_round_trips(
    published: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.get(WEB)
    made = between.counted(monkeypatch)

    assert sure(published).delete(WEB).status == 204

    assert len(made) == 2


def test_what_keeps_changing_is_busy(draft: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    key = template_records.key("web")

    def again() -> None:
        between.first(monkeypatch, "TransactWriteItems", change)

    def change() -> None:
        table.write(Update(key, "SET version = version + :one", {"one": 1}))
        again()

    again()
    answer = draft.delete(WEB)

    assert_refused(answer, 429, "busy")


# --- machines ---------------------------------------------------------------------------------


def token(owner: Client, kind: str, monkeypatch: pytest.MonkeyPatch) -> Client:
    wanted = {"name": kind, "kind": kind, "scopes": ["read", "templates", "destroy"]}
    made = owner.post("/api/v1/auth/tokens", wanted)
    assert made.status == 201, made.text
    return Client(made.json["token"], owner.user_id)


@pytest.mark.parametrize("kind", ["ci", "agent"])
def test_a_machine_deletes_no_template_that_a_person_has_made(
    published: Client, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    machine = token(published, kind, monkeypatch)

    answer = sure(machine).delete(WEB)

    assert_refused(answer, 403, "forbidden")
    assert published.get(WEB).status == 200


@pytest.mark.parametrize("kind", ["ci", "agent"])
def test_a_machine_deletes_the_template_that_it_has_made_until_it_is_published(
    ann: Client, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    set_parameters(monkeypatch, MEMBERS_MAY_PUBLISH="true")
    machine = token(ann, kind, monkeypatch)
    for publishes in (False, True):
        assert machine.post(TEMPLATES, {"name": "web"}).status == 201
        assert add(machine).status == 201
        if publishes:
            machine.post(f"{WEB}/versions/1.0/publish")

        assert sure(machine).delete(WEB).status == (403 if publishes else 204)


def test_a_personal_token_deletes_as_its_person_does(
    draft: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert token(draft, "personal", monkeypatch).delete(WEB).status == 204
