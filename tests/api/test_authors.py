"""What people made and did carries their names, and not only their ids."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.domain import ids, timestamps
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.services import projects, teardowns
from slipway.store import deployment_records, environment_records, event_records, table, wire
from slipway.store.table import Update
from tests.support.api.client import Client
from tests.support.api.members import add
from tests.support.api.registering import user
from tests.support.store import world

pytestmark = pytest.mark.usefixtures("aws")
ENVIRONMENTS = "/api/v1/environments"


@pytest.fixture
def ann(environ: None) -> Client:
    return user("ann@example.com")


@pytest.fixture
def bob(environ: None) -> Client:
    return user("bob@example.com")


@pytest.fixture
def project(ann: Client, bob: Client) -> ProjectId:
    made = world.project(ann.principal)
    add(ann, made, "bob@example.com", "maintainer")
    return made


def author(who: Client) -> dict[str, str]:
    return {"id": who.user_id, "kind": "user", "name": who.get("/api/v1/auth/me").json["email"]}


def created(caller: Client, project: ProjectId) -> EnvironmentId:
    body = {"name": "preview", "type": "ephemeral", "ttl_hours": 4}
    answer = caller.post(f"{ENVIRONMENTS}/projects/{project}", body)
    assert answer.json["created_by"] == author(caller)
    return ids.parse_environment(answer.json["id"])


def by(record: Any, before: Any = None) -> Any:
    """What the event of the record's last write says of who caused it."""
    event_records.record(wire.encode(before or {}), wire.encode(record))
    environment = ids.parse_environment(record.get("environment_id", record["id"]))
    [event, *_], _ = table.query(f"ENV#{environment.e}", "EVENT#", limit=1, newest_first=True)
    return event.get("by")


def test_an_environment_names_its_creator_to_every_member(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    environment = created(bob, project)

    shown = ann.get(f"{ENVIRONMENTS}/{environment}").json

    assert shown["created_by"] == author(bob)
    assert [each["created_by"] for each in ann.get(f"{ENVIRONMENTS}/projects/{project}").json] == [
        author(bob)
    ]
    assert by(environment_records.find(environment)) == author(bob)
    [event] = ann.get(f"{ENVIRONMENTS}/{environment}/events").json
    assert (event["actor"], event["by"]) == (bob.user_id, author(bob))


def test_a_deployment_names_its_creator_also_in_the_queue(
    ann: Client, bob: Client, project: ProjectId
) -> None:
    environment = created(ann, project)
    world.comes_up(environment)
    made = bob.post(f"/api/v1/deployments/environments/{environment}", {"version": "v1"}).json

    queued = ann.get(f"{ENVIRONMENTS}/{environment}/queue").json

    assert made["created_by"] == author(bob)
    assert [each["created_by"] for each in queued] == [author(bob)]
    record = deployment_records.find(ids.parse_deployment(made["id"]))
    assert by(record) == author(bob)


@pytest.mark.parametrize("running", [False, True])
def test_the_one_who_cancels_a_deployment_is_named(
    ann: Client, bob: Client, project: ProjectId, running: bool
) -> None:
    environment = created(ann, project)
    world.comes_up(environment)
    deployment = world.deployment(environment, ann.principal)
    before = deployment_records.find(deployment)
    if running:
        values = {"token": 1, "running": "running"}
        key = deployment_records.key(deployment)
        table.write(Update(key, "SET #token = :token, #status = :running", values))
    answer = bob.post(f"/api/v1/deployments/{deployment}/cancel")
    after: Any = deployment_records.find(deployment)
    if running:
        failure = {"error": "Canceled", "reason": "canceled", "step": "Ship"}
        at = timestamps.written(timestamps.now())
        ended = {"action": "deployment_canceled", "actor": str(deployment), "at": at}
        after = {**after, "status": "canceled", "failure": failure, "change": ended}

    assert by(after, before) == author(bob)
    if not running:
        assert answer.json["failure"]["reason"] == "bob@example.com canceled it"


@pytest.mark.parametrize("verb,body", [("extend", {"ttl_hours": 9}), ("pin", {"reason": "demo"})])
def test_the_one_who_changes_a_lease_is_named(
    ann: Client, bob: Client, project: ProjectId, verb: str, body: Any
) -> None:
    environment = created(ann, project)
    before = environment_records.find(environment)

    answer = bob.post(f"{ENVIRONMENTS}/{environment}/{verb}", body)

    assert answer.status == 200
    assert by(environment_records.find(environment), before) == author(bob)
    if verb == "pin":
        assert answer.json["pinned"]["by"] == author(bob)


def test_the_one_who_deletes_a_project_is_named_in_its_environments(
    ann: Client, project: ProjectId
) -> None:
    environment = created(ann, project)
    before = environment_records.find(environment)
    assert ann.delete(f"/api/v1/projects/{project}", cascade="true").status == 202

    for each, actor in projects.to_tear_down(project):
        teardowns.begin_as(each, actor)

    assert by(environment_records.find(environment), before) == author(ann)


def test_records_of_an_earlier_release_show_the_id_alone(ann: Client, project: ProjectId) -> None:
    environment = created(ann, project)
    world.comes_up(environment)
    deployment = world.deployment(environment, ann.principal)
    for key in (environment_records.key(environment), deployment_records.key(deployment)):
        table.write(Update(key, "REMOVE made_by", {}))
    pinned = {"reason": "demo", "at": "2026-11-23T01:02:03.456Z", "by": ann.user_id}
    key = environment_records.key(environment)
    table.write(Update(key, "SET pinned = :pinned", {"pinned": pinned}))

    shown = ann.get(f"{ENVIRONMENTS}/{environment}").json

    alone = {"id": ann.user_id, "kind": "user", "name": None}
    assert (shown["created_by"], shown["pinned"]["by"]) == (alone, alone)
    assert ann.get(f"/api/v1/deployments/{deployment}").json["created_by"] == alone
