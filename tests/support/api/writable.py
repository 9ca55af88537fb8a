"""Every object that can be written with PATCH or PUT as JSON: how it is made, read and written.

`tests/api/test_sent_back.py` asserts that no route is missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from slipway.domain import ids
from slipway.domain.environment import MASK
from slipway.domain.ids import EnvironmentId
from slipway.store import environment_records, table
from slipway.store.table import Update
from tests.support.api.client import Answer, Client
from tests.support.api.members import add
from tests.support.api.people import signed_in
from tests.support.api.registering import administrator
from tests.support.store import world

TRUST = {"preset": "github", "claims": {"repository_id": "456789"}, "scopes": ["read"]}


class Object(NamedTuple):
    """An object that `caller` may read at `path` and write with `method` at `writes_at`."""

    caller: Client
    path: str
    method: str = "PATCH"
    writes_at: str = ""

    def read(self) -> Answer:
        return self.caller.get(self.path)

    def write(self, body: Mapping[str, Any], **headers: str) -> Answer:
        client = self.caller.with_headers(**headers)
        return client.send(self.method, self.writes_at or self.path, json.dumps(body))


def a_bare_project(ann: Client) -> Object:
    return Object(ann, f"/api/v1/projects/{world.project(ann.principal)}")


def a_project(ann: Client) -> Object:
    full = {
        "description": "takes\\nmoney",
        "repo_url": "git@example.com:a/b",
        "labels": {"team": "payments"},
        "policy": {"max_ttl_hours": 72, "default_ttl_hours": 0.5, "warn_before_hours": [2, 1]},
    }
    return Object(ann, f"/api/v1/projects/{world.project(ann.principal, 'full', **full)}")


def a_member(ann: Client) -> Object:
    project = world.project(ann.principal)
    bob = signed_in("bob@example.com")
    add(ann, project, "bob@example.com", "viewer", preview="deployer")
    return Object(ann, f"/api/v1/projects/{project}/members/{bob.user_id}")


def a_trust(ann: Client) -> Object:
    made = ann.post(f"/api/v1/projects/{world.project(ann.principal)}/trusts", TRUST)
    return Object(ann, made.headers["location"])


def a_user(ann: Client) -> Object:
    return Object(administrator(), f"/api/v1/users/{ann.user_id}")


def _environment(ann: Client, **fields: Any) -> EnvironmentId:
    made = world.environment(world.project(ann.principal), ann.principal, **fields)
    world.comes_up(made)
    return made


def an_environment(ann: Client) -> Object:
    return Object(ann, f"/api/v1/environments/{_environment(ann)}")


def a_full_environment(ann: Client) -> Object:
    made = _environment(
        ann,
        name="full",
        ttl_hours=24.0,
        config={"a": None, "b": [1, 2.0, {"c": True}], "d": {}},
        labels={"team": "payments"},
        tier="staging",
        external_id="pr-7",
        protected=True,
    )
    return Object(ann, f"/api/v1/environments/{made}")


def a_pinned_one_with_secrets(ann: Client) -> Object:
    made = _environment(ann)
    world.is_of_a_template(made)
    inputs = {"inputs": '{"Size":"large"}', "secret_inputs": ["Password"]}
    key = environment_records.key(made)
    table.write(Update(key, *table.setting({**inputs, "outputs": {"Url": "https://x.test"}})))
    ann.post(f"/api/v1/environments/{made}/pin", {"reason": "demo"})
    shown = ann.get(f"/api/v1/environments/{made}").json
    assert shown["inputs"] == {"Size": "large", "Password": MASK}
    return Object(ann, f"/api/v1/environments/{made}")


def an_environment_that_has_ended(ann: Client) -> Object:
    made = _environment(ann)
    world.is_destroyed(made)
    return Object(ann, f"/api/v1/environments/{made}")


def a_template(ann: Client) -> Object:
    made = ann.post("/api/v1/templates", {"name": "web", "description": "A queue."})
    return Object(ann, made.headers["location"])


def a_project_without_a_pipeline(ann: Client) -> Object:
    return Object(ann, f"/api/v1/projects/{world.project(ann.principal)}/pipeline", "PUT")


def a_pipeline(ann: Client) -> Object:
    made = _environment(ann)
    path = f"/api/v1/projects/{made.project}/pipeline"
    stage = {"name": "live", "environment_ids": [str(made)], "rules": {"min_soak": 60}}
    assert ann.put(path, {"stages": [{"name": "empty"}, stage]}).status == 200
    return Object(ann, path, "PUT")


Made = Callable[[Client], Object]

WRITABLE: Mapping[str, tuple[str, Made]] = {
    "a project": ("PATCH /api/v1/projects/<project_id>", a_bare_project),
    "a project with all fields": ("PATCH /api/v1/projects/<project_id>", a_project),
    "a member": ("PATCH /api/v1/projects/<project_id>/members/<member_id>", a_member),
    "a trust": ("PATCH /api/v1/projects/<project_id>/trusts/<trust_id>", a_trust),
    "a user": ("PATCH /api/v1/users/<user_id>", a_user),
    "a template": ("PATCH /api/v1/templates/<template>", a_template),
    "an environment": ("PATCH /api/v1/environments/<environment_id>", an_environment),
    "an environment with all fields": (
        "PATCH /api/v1/environments/<environment_id>",
        a_full_environment,
    ),
    "an environment with secrets": (
        "PATCH /api/v1/environments/<environment_id>",
        a_pinned_one_with_secrets,
    ),
    "an environment that has ended": (
        "PATCH /api/v1/environments/<environment_id>",
        an_environment_that_has_ended,
    ),
    "a project without a pipeline": (
        "PUT /api/v1/projects/<project_id>/pipeline",
        a_project_without_a_pipeline,
    ),
    "a pipeline": ("PUT /api/v1/projects/<project_id>/pipeline", a_pipeline),
}
"""By name: the route that writes it, and how it is made for a user."""


def environment_of(thing: Object) -> EnvironmentId:
    """The environment that the path names."""
    return ids.parse_environment(thing.path.rpartition("/")[2])
