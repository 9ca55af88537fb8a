"""Generated from the OpenAPI document: a machine with every scope destroys nothing by itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from slipway.access import policy
from slipway.domain import ids
from slipway.domain.confirmation import SERVED_BY
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.rights import Kind
from slipway.services import change_sets
from slipway.store import environment_records, project_records, table
from tests.support.api.client import CONTEXT, Answer, Client, app
from tests.support.api.machines import Machine, machine
from tests.support.api.people import signed_in
from tests.support.api.routes import RESOURCES
from tests.support.lambda_environment import as_on_lambda
from tests.support.moto_backend import empty, moto
from tests.support.repository import ROOT
from tests.support.store import world

DOCUMENT = json.loads((ROOT / "functions/api/docs/openapi.json").read_text())
CONFIRMATION = "#/components/schemas/Confirmation"
ROUTES = {
    (route.method.lower(), re.sub(r"<(\w+)>", r"{\1}", route.path)): route
    for name in RESOURCES
    for route in app(name).api.routes
}


def operations() -> Iterator[tuple[str, str, Any]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            if operation["security"]:
                yield method, path, operation


def waits(operation: Any) -> bool:
    """Whether the document says that the request may have to wait."""
    content = operation["responses"].get("202", {}).get("content", {})
    return (CONFIRMATION in json.dumps(content) and "anyOf" in json.dumps(content)) or (
        content.get("application/json", {}).get("schema") == {"$ref": CONFIRMATION}
    )


WAITING = {f"{m.upper()} {p}" for m, p, operation in operations() if waits(operation)}
CHANGING = {f"{m.upper()} {p}" for m, p, _ in operations() if m != "get"}


class Here(NamedTuple):
    """What a machine could destroy; `failed` is an environment whose teardown has failed."""

    ann: Client
    bob: Client
    project: ProjectId
    environment: EnvironmentId
    failed: EnvironmentId
    agent: Machine

    def things(self) -> dict[str, Any]:
        """What there is, without what only counts or dates it."""
        found: dict[str, Any] = {}
        for each in (self.environment, self.failed):
            record = environment_records.find(each)
            found[str(each)] = record and record["status"]
        keys = [
            project_records.key(self.project),
            *(project_records.member(self.project, each.user_id) for each in (self.ann, self.bob)),
        ]
        project, *members = table.get(*keys)
        found["project"] = project and (project["status"], project["owner"])
        found["members"] = [bool(each) for each in members]
        [template] = table.get(table.Key("TEMPLATES", "TEMPLATE#web"))
        found["template"] = bool(template)
        return found


@pytest.fixture(params=["agent", "ci"])
def here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    with moto(), as_on_lambda():
        empty()
        ann, bob = signed_in("ann@example.com"), signed_in("bob@example.com")
        project = world.project(ann.principal)
        made = [
            world.environment(project, ann.principal, name, external_id=f"feature/{name}")
            for name in ("one", "two")
        ]
        for each in made:
            world.comes_up(each)
        world.becomes(made[1], "teardown_failed")
        world.is_of_a_template(made[0])
        where = f"/api/v1/environments/{made[0]}"
        for path, body in (
            ("deployments", {"version": "v1"}),
            ("update", {"inputs": {"Size": "x"}}),
        ):
            live = ann.post(f"{where}/{path}", body)
            world.goes_live(ids.parse_deployment(live.json["id"]))
        wanted = {"email": "bob@example.com", "role": "maintainer"}
        assert ann.post(f"/api/v1/projects/{project}/members", wanted).status == 201
        plan = {"status": "ready", "changes": [{"action": "remove", "logical_id": "Jobs"}]}
        monkeypatch.setattr(change_sets, "preview", lambda *args, **more: plan)
        kind: Kind = request.param
        yield Here(ann, bob, project, made[0], made[1], machine(ann, monkeypatch, kind))


Send = Callable[[Here, Client], Answer]
# A valid request for each operation of the document that may have to wait.
REQUESTS: dict[str, list[Send]] = {
    "DELETE /api/v1/projects/{project_id}": [
        lambda h, c: c.delete(f"/api/v1/projects/{h.project}"),
        lambda h, c: c.delete(f"/api/v1/projects/{h.project}", cascade="true"),
    ],
    "DELETE /api/v1/environments/{environment_id}": [
        lambda h, c: c.delete(f"/api/v1/environments/{h.environment}"),
        lambda h, c: c.delete(f"/api/v1/environments/{h.failed}", force="true"),
    ],
    "DELETE /api/v1/projects/{project_id}/environments/{environment_id}": [
        lambda h, c: c.delete(f"/api/v1/projects/{h.project}/environments/one"),
        lambda h, c: c.delete(f"/api/v1/projects/{h.project}/environments/two", force="true"),
    ],
    "DELETE /api/v1/projects/{project_id}/environments/by-external-id/{external_id}": [
        lambda h, c: c.delete(
            f"/api/v1/projects/{h.project}/environments/by-external-id/feature/one"
        ),
    ],
    "POST /api/v1/environments/{environment_id}/update": [
        lambda h, c: c.post(f"/api/v1/environments/{h.environment}/update", {"inputs": {}}),
    ],
    "POST /api/v1/environments/{environment_id}/rollback": [
        lambda h, c: c.post(f"/api/v1/environments/{h.environment}/rollback", {"reason": "?"}),
    ],
    "POST /api/v1/environments/{environment_id}/teardown/retry": [
        lambda h, c: c.post(f"/api/v1/environments/{h.failed}/teardown/retry"),
    ],
    "DELETE /api/v1/projects/{project_id}/members/{member_id}": [
        lambda h, c: c.delete(f"/api/v1/projects/{h.project}/members/{h.bob.user_id}"),
        lambda h, c: c.delete(f"/api/v1/projects/{h.project}/members/{h.ann.user_id}"),
    ],
    "POST /api/v1/projects/{project_id}/transfer": [
        lambda h, c: c.post(f"/api/v1/projects/{h.project}/transfer", {"user_id": h.bob.user_id}),
    ],
}


def test_every_operation_that_may_wait_has_a_request() -> None:
    assert set(REQUESTS) == WAITING


def test_every_destructive_action_of_the_policy_may_wait() -> None:
    destructive = {name for name, rule in policy.ACTIONS.items() if rule.destructive}
    served = {route.action for route in ROUTES.values()}

    assert (destructive & served) | {"environments:update"} <= set(SERVED_BY)
    assert {
        f"{method.upper()} {path}"
        for (method, path), route in ROUTES.items()
        if route.action in SERVED_BY
    } == WAITING


# A draft version of a template is no destruction. The rest concerns no project of the machine's:
# accounts and invitations are the administrators', a trust takes rights away, and a template is
# deleted only by a person, or by the token that has made it.
HARMLESS_DELETES = {
    "templates:change",
    "templates:delete",
    "users:change",
    "invitations:change",
    "trusts:change",
    "tokens:change",
    "deployments:release",
    # The value stays where earlier configurations name it.
    "secrets:change",
}


def test_every_delete_of_the_document_waits_or_is_known_to_be_harmless() -> None:
    deleting = {
        route.action
        for (method, _), route in ROUTES.items()
        if method == "delete" and route.action not in SERVED_BY
    }

    assert deleting <= HARMLESS_DELETES


CASES = [(name, n) for name, sends in REQUESTS.items() for n in range(len(sends))]
each_case = pytest.mark.parametrize(("name", "n"), CASES)


@each_case
def test_a_machine_with_every_scope_destroys_nothing_without_a_person(
    here: Here, name: str, n: int
) -> None:
    before = here.things()
    client = here.agent.client.with_headers(x_confirm="one")

    answer = REQUESTS[name][n](here, client)

    assert answer.status == 202, answer.text
    assert answer.json["status"] == "awaiting_confirmation"
    # It cannot decide, nor let it be carried out.
    where = f"/api/v1/confirmations/{answer.json['id']}"
    for path in (f"{where}/approve", f"{where}/reject"):
        assert client.post(path).status == 403
    served_by = SERVED_BY[answer.json["action"]]
    event = {"confirmation": answer.json["id"]}
    assert app(served_by).handler(event, CONTEXT) == {"status": "awaiting_confirmation"}
    assert here.things() == before


@each_case
def test_a_person_can_let_each_of_them_be_carried_out(here: Here, name: str, n: int) -> None:
    before = here.things()
    confirmation = REQUESTS[name][n](here, here.agent.client).json

    where = f"/api/v1/confirmations/{confirmation['id']}"
    assert here.ann.post(f"{where}/approve").status == 200
    served_by = SERVED_BY[confirmation["action"]]
    event = {"confirmation": confirmation["id"]}
    done = app(served_by).handler(event, CONTEXT)

    told = here.ann.get(where) if here.things()["members"][0] else here.agent.client.get(where)
    if told.status == 200:
        shown = told.json
        result: dict[str, Any] = shown["result"] or {}
        refused = result.get("code")
        # Without cascade a project with environments stays, and the only owner cannot leave.
        expected = {"project_not_empty", "last_owner"} if done["status"] == "failed" else {None}
        assert refused in expected, shown
        assert shown["status"] == done["status"]
    changed = here.things() != before
    # An update and a rollback are in the queue.
    queued = name.endswith(("/update", "/rollback"))
    assert changed == (done["status"] == "carried_out" and not queued)


@pytest.mark.parametrize("name", sorted(CHANGING - WAITING))
def test_no_other_operation_destroys_anything(here: Here, name: str) -> None:
    method, _, path = name.partition(" ")
    operation = DOCUMENT["paths"][path][method.lower()]
    content = operation.get("requestBody", {}).get("content", {})
    media: str | None = next(iter(content), None)
    body: dict[str, Any] = content[media] if media else {}
    names = {
        "project_id": str(here.project),
        "environment_id": str(here.environment),
        "user_id": here.bob.user_id,
        "member_id": here.bob.user_id,
        "template": "web",
        "version": "1.0",
        "external_id": "pr-1",
        "deployment_id": str(world.deployment(here.environment, here.ann.principal)),
    }
    where = re.sub(r"\{(\w+)\}", lambda word: names.get(str(word[1]), ids.new_part()), path)
    before = here.things()

    example = body.get("example")
    text = example if isinstance(example, str) else json.dumps(example)
    here.agent.client.send(method, where, text if content else None, media=media)

    assert here.things() == before
