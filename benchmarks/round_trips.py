"""Round trips: the DynamoDB calls of each route, counted against a watched table.

`make round-trips` writes docs/round-trips.md; a test compares it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks.loopback import Call, Item, Watched, environ
from benchmarks.support import ROOT, bars, markdown, save, show

# Long enough that concurrent calls are seen to overlap.
HOLD_SECONDS = 0.05
TRIES = 5
COMMITTED = ROOT / "docs/round-trips.md"

# ── The cost of a call, by DynamoDB's rules ──────────────────────────────────────────────────


def size(item: Item) -> int:
    """The size that DynamoDB counts, in bytes: names and values."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(value: Mapping[str, Any]) -> int:
    [(kind, content)] = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return ceil(len(content.lstrip("-").replace(".", "").strip("0")) / 2) + 1
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _size(each) for name, each in content.items())
    if kind == "L":
        return 3 + sum(1 + _size(each) for each in content)
    if kind in ("SS", "NS"):
        return sum(_size({kind[0]: each}) for each in content)
    assert kind in ("BOOL", "NULL"), kind
    return 1


def read_units(call: Call) -> float:
    """One unit for each 4 KB, half if eventually consistent; one for a missing item."""
    if call.operation == "BatchGetItem":
        [(table, wanted)] = call.request["RequestItems"].items()
        found = call.answer["Responses"].get(table, [])
        units = sum(ceil(size(item) / 4096) for item in found) + len(wanted["Keys"]) - len(found)
        return units if wanted.get("ConsistentRead") else units / 2
    if call.operation == "GetItem":
        units = max(1, ceil(size(call.answer.get("Item", {})) / 4096))
        return units if call.request.get("ConsistentRead") else units / 2
    if call.operation == "Query":
        units = max(1, ceil(sum(map(size, call.answer["Items"])) / 4096))
        return units if call.request.get("ConsistentRead") else units / 2
    return 0


def write_units(call: Call) -> int:
    """One unit for each kilobyte of the larger image, two in a transaction.

    A change in the index costs as much again, once.
    """
    each = 2 if call.operation == "TransactWriteItems" else 1
    return sum(
        each * max(1, ceil(max(size(before), size(after)) / 1024)) + index_units(before, after)
        for before, after in call.images
    )


def index_units(before: Item, after: Item) -> int:
    old, new = (
        (item["due"], item["due_at"]) if "due" in item and "due_at" in item else None
        for item in (before, after)
    )
    return 0 if old == new else (old is not None) + (new is not None)


def in_sequence(calls: Sequence[Call]) -> list[list[Call]]:
    """Groups of calls. The calls of a group overlap; each group follows the one before."""
    groups: list[list[Call]] = []
    for call in sorted(calls, key=lambda call: call.began):
        if groups and any(call.began < other.ended for other in groups[-1]):
            groups[-1].append(call)
        else:
            groups.append([call])
    return groups


@dataclass(frozen=True)
class Paid:
    """The DynamoDB calls of one request to the API."""

    calls: list[Call]

    @property
    def depth(self) -> int:
        return len(in_sequence(self.calls))

    @property
    def units(self) -> tuple[float, int]:
        return sum(map(read_units, self.calls)), sum(map(write_units, self.calls))

    @property
    def items(self) -> int:
        """The number of items that DynamoDB read."""
        return sum(
            int(call.answer.get("ScannedCount", 0))
            + sum(map(len, call.answer.get("Responses", {}).values()))
            + ("Item" in call.answer)
            for call in self.calls
        )

    @property
    def sent(self) -> int:
        return sum(call.sent for call in self.calls)

    @property
    def answered(self) -> int:
        return sum(call.answered for call in self.calls)

    def told(self) -> str:
        """`BatchGetItem + Query, TransactWriteItems`: concurrent calls, then those that follow."""
        return ", ".join(
            " + ".join(sorted(call.operation for call in group))
            for group in in_sequence(self.calls)
        )


# ── Every route ─────────────────────────────────────────────────────────────────────────────


class Stage:
    """A user with a project, a running environment and a deployment that waits in it."""

    # What `administers` and `registers` add.
    root: Any
    user: str
    invitation: str
    invited: str
    reset: str
    registration: str

    def __init__(self) -> None:
        from slipway.access import passwords, signing, tokens
        from slipway.store import user_records
        from tests.support.api.client import Client
        from tests.support.store import world

        tokens.forget()
        signing.forget()
        self.world = world
        user = user_records.add("ann@example.com", passwords.hash_password("secret123"))
        self.ann = Client(signing.mint(user.id).access_token, user.id)
        self.project = world.project(self.ann.principal, policy={"expiry_mode": "idle"})
        self.environment = world.environment(
            self.project, self.ann.principal, external_id="github:pr:123"
        )
        world.comes_up(self.environment)
        self.deployment = world.deployment(self.environment, self.ann.principal)

    def disables(self) -> Stage:
        self.administers()
        self.root.post(f"{self.user}/disable")
        return self

    def administers(self) -> Stage:
        """Add an administrator, another user and an invitation; `user` and `invited` are paths."""
        from slipway.access import signing
        from slipway.store import user_records
        from tests.support.api.client import Client

        root = user_records.add("root@example.com", "a hash", role="admin").id
        self.root = Client(signing.mint(root).access_token, root)
        self.user = f"/api/v1/users/{user_records.add('eve@example.com', 'a hash').id}"
        made = self.root.post("/api/v1/invitations", {"email": PERSON["email"]}).json
        self.invitation = made["invitation"]
        self.invited = f"/api/v1/invitations/{made['id']}"
        return self

    def resets(self) -> Stage:
        """Make a link that sets eve's password."""
        self.administers()
        self.reset = self.root.post(f"{self.user}/password-reset").json["reset"]
        return self

    def registers(self) -> Stage:
        """Add a registration whose address is not proven yet."""
        from slipway.access import passwords
        from slipway.store import account_records, table

        hashed = passwords.hash_password(PERSON["password"])
        write, secret = account_records.new_registration(PERSON["email"], hashed)
        table.write(write)
        self.registration = secret
        return self

    def fails_to_go(self) -> Stage:
        failure = {"error": "Refused", "reason": "not empty", "step": "Retire"}
        self.world.becomes(self.environment, "teardown_failed", failure=failure)
        return self

    def is_alone(self, on_conflict: str = "queue") -> Stage:
        self.environment = self.world.environment(
            self.project, self.ann.principal, "quiet", on_conflict=on_conflict
        )
        return self

    def has_to_be_alone(self) -> Stage:

        self.is_alone("reject")
        from slipway.services import rollout_queue

        rollout_queue.cancel(
            self.world.deployment(self.environment, self.ann.principal), self.ann.principal
        )
        return self

    def has_template(self) -> Stage:
        made = self.ann.post("/api/v1/templates", {"name": "web"})
        added = self.ann.send("POST", f"{WEB}/versions", BODY, media="application/yaml")
        assert (made.status, added.status) == (201, 201)
        return self

    def has_published(self) -> Stage:
        assert self.has_template().ann.post(f"{WEB}/versions/1.0/publish").status == 200
        return self

    def has_published_secrets(self) -> Stage:
        self.has_template()
        added = self.ann.send("POST", f"{WEB}/versions", WITH_SECRET, media="application/yaml")
        assert added.status == 201
        assert self.ann.post(f"{WEB}/versions/1.1/publish").status == 200
        return self

    def has_secrets(self) -> Stage:
        self.has_published_secrets()
        user, inputs = self.ann.principal, {"Password": "hunter22"}
        self.environment = self.world.environment(
            self.project, user, "with-secrets", template="web@1.1", inputs=inputs
        )
        self.world.comes_up(self.environment)
        return self

    def is_a_stack(self) -> Stage:
        self.world.becomes(self.environment, "running", driver="cloudformation")
        return self

    def is_made_from_one(self) -> Stage:
        self.has_published()
        user, name = self.ann.principal, "from-a-template"
        self.environment = self.world.environment(self.project, user, name, template="web@1.0")
        self.world.comes_up(self.environment)
        return self

    def was_changed(self) -> Stage:
        path = f"/api/v1/environments/{self.is_made_from_one().environment}/update"
        assert self.ann.post(path, {"inputs": {}}).status == 201
        return self

    def is_pinned(self) -> Stage:
        path = f"/api/v1/environments/{self.environment}/pin"
        assert self.ann.post(path, {"reason": "a demonstration"}).status == 200
        return self


def _environment(stage: Stage, below: str = "") -> str:
    return f"/api/v1/environments/{stage.environment}{below}"


def _deployment(stage: Stage, below: str = "") -> str:
    return f"/api/v1/deployments/{stage.deployment}{below}"


WEB = "/api/v1/templates/web"
BODY = "Resources: {Jobs: {Type: AWS::SQS::Queue}}"
WITH_SECRET = f"{BODY}\nParameters: {{Password: {{Type: String, NoEcho: true}}}}"
# Calls of other services are not counted here.
ANSWERS = {
    "put_parameter": {},
    "detect_stack_drift": {"StackDriftDetectionId": "0f1e2d3c-0000-4000-8000-123456789abc"},
    "describe_stacks": {"Stacks": [{"StackStatus": "CREATE_COMPLETE"}]},
    "describe_stack_resource_drifts": {"StackResourceDrifts": []},
    "create_change_set": {},
}
PREVIEW = {"name": "preview-pr-124", "type": "ephemeral", "ttl_hours": 24}
PERSON = {"email": "bob@example.com", "password": "correct horse battery"}
SIGN_IN = {"username": "ann@example.com", "password": "secret123"}
NEW_PASSWORD = {"current_password": "secret123", "new_password": PERSON["password"]}

# For each line of the table: its route and its request.
Ask = Callable[[Stage], Any]
ROUTES: dict[str, tuple[str, Ask]] = {
    "register": (
        "POST /api/v1/auth/register",
        lambda s: s.ann.post("/api/v1/auth/register", PERSON),
    ),
    "sign in": (
        "POST /api/v1/auth/login",
        lambda s: s.ann.form("/api/v1/auth/login", SIGN_IN),
    ),
    "change the password": (
        "POST /api/v1/auth/password",
        lambda s: s.ann.post("/api/v1/auth/password", NEW_PASSWORD),
    ),
    "ask for a new password": (
        "POST /api/v1/auth/password-reset",
        lambda s: s.ann.post("/api/v1/auth/password-reset", {"email": "ann@example.com"}),
    ),
    "set a new password by a link": (
        "POST /api/v1/auth/password-reset/confirm",
        lambda s: s.ann.post(
            "/api/v1/auth/password-reset/confirm",
            {"token": s.reset, "new_password": PERSON["password"]},
        ),
    ),
    "make a link for a new password": (
        "POST /api/v1/users/<user_id>/password-reset",
        lambda s: s.root.post(f"{s.user}/password-reset"),
    ),
    "sign out": (
        "POST /api/v1/auth/logout",
        lambda s: s.ann.post("/api/v1/auth/logout"),
    ),
    "sign out everywhere": (
        "POST /api/v1/auth/logout-everywhere",
        lambda s: s.ann.post("/api/v1/auth/logout-everywhere"),
    ),
    "read the current user": ("GET /api/v1/auth/me", lambda s: s.ann.get("/api/v1/auth/me")),
    "register with an invitation": (
        "POST /api/v1/auth/register",
        lambda s: s.ann.post("/api/v1/auth/register", {**PERSON, "invitation": s.invitation}),
    ),
    "prove an address": (
        "POST /api/v1/auth/verify-email",
        lambda s: s.ann.post(
            "/api/v1/auth/verify-email", {"token": s.registration, "password": PERSON["password"]}
        ),
    ),
    "list users": ("GET /api/v1/users", lambda s: s.root.get("/api/v1/users")),
    "read a user": (
        "GET /api/v1/users/<user_id>",
        lambda s: s.root.get(s.user),
    ),
    "change a user's role": (
        "PATCH /api/v1/users/<user_id>",
        lambda s: s.root.patch(s.user, {"platform_role": "publisher"}),
    ),
    "disable a user": (
        "POST /api/v1/users/<user_id>/disable",
        lambda s: s.root.post(f"{s.user}/disable"),
    ),
    "enable a user": (
        "POST /api/v1/users/<user_id>/enable",
        lambda s: s.root.post(f"{s.user}/enable"),
    ),
    "delete a user": (
        "DELETE /api/v1/users/<user_id>",
        lambda s: s.root.delete(s.user),
    ),
    "invite an address": (
        "POST /api/v1/invitations",
        lambda s: s.root.post("/api/v1/invitations", {"email": "dan@example.com"}),
    ),
    "list invitations": (
        "GET /api/v1/invitations",
        lambda s: s.root.get("/api/v1/invitations"),
    ),
    "revoke an invitation": (
        "DELETE /api/v1/invitations/<invitation_id>",
        lambda s: s.root.delete(s.invited),
    ),
    "read the public keys": (
        "GET /.well-known/jwks.json",
        lambda s: s.ann.get("/.well-known/jwks.json"),
    ),
    "create a project": (
        "POST /api/v1/projects",
        lambda s: s.ann.post("/api/v1/projects", {"name": "orders"}),
    ),
    "list projects": ("GET /api/v1/projects", lambda s: s.ann.get("/api/v1/projects")),
    "read a project": (
        "GET /api/v1/projects/<project_id>",
        lambda s: s.ann.get(f"/api/v1/projects/{s.project}"),
    ),
    "change a project": (
        "PATCH /api/v1/projects/<project_id>",
        lambda s: s.ann.patch(f"/api/v1/projects/{s.project}", {"name": "orders"}),
    ),
    "delete a project, with its environments": (
        "DELETE /api/v1/projects/<project_id>",
        lambda s: s.ann.delete(f"/api/v1/projects/{s.project}", cascade="true"),
    ),
    "create a template": (
        "POST /api/v1/templates",
        lambda s: s.ann.post("/api/v1/templates", {"name": "web"}),
    ),
    "list templates": ("GET /api/v1/templates", lambda s: s.ann.get("/api/v1/templates")),
    "read a template": ("GET /api/v1/templates/<template>", lambda s: s.ann.get(WEB)),
    "read its usage": (
        "GET /api/v1/templates/<template>/usage",
        lambda s: s.ann.get(f"{WEB}/usage"),
    ),
    "list its environments": (
        "GET /api/v1/templates/<template>/environments",
        lambda s: s.ann.get(f"{WEB}/environments"),
    ),
    "add a version": (
        "POST /api/v1/templates/<template>/versions",
        lambda s: s.ann.send("POST", f"{WEB}/versions", BODY, media="application/yaml"),
    ),
    "list versions": (
        "GET /api/v1/templates/<template>/versions",
        lambda s: s.ann.get(f"{WEB}/versions"),
    ),
    "read a version": (
        "GET /api/v1/templates/<template>/versions/<version>",
        lambda s: s.ann.get(f"{WEB}/versions/1.0"),
    ),
    "read its body": (
        "GET /api/v1/templates/<template>/versions/<version>/body",
        lambda s: s.ann.get(f"{WEB}/versions/1.0/body"),
    ),
    "replace a draft": (
        "PUT /api/v1/templates/<template>/versions/<version>",
        lambda s: s.ann.send("PUT", f"{WEB}/versions/1.0", BODY, media="application/yaml"),
    ),
    "delete a draft": (
        "DELETE /api/v1/templates/<template>/versions/<version>",
        lambda s: s.ann.delete(f"{WEB}/versions/1.0"),
    ),
    "publish a version": (
        "POST /api/v1/templates/<template>/versions/<version>/publish",
        lambda s: s.ann.post(f"{WEB}/versions/1.0/publish"),
    ),
    "deprecate a version": (
        "POST /api/v1/templates/<template>/versions/<version>/deprecate",
        lambda s: s.ann.post(f"{WEB}/versions/1.0/deprecate"),
    ),
    "create an environment from a version": (
        "POST /api/v1/environments/projects/<project_id>",
        lambda s: s.ann.post(
            f"/api/v1/environments/projects/{s.project}", {**PREVIEW, "template": "web@1.0"}
        ),
    ),
    "create an environment with a secret": (
        "POST /api/v1/environments/projects/<project_id>",
        lambda s: s.ann.post(
            f"/api/v1/environments/projects/{s.project}",
            {**PREVIEW, "template": "web@1.1", "inputs": {"Password": "hunter22"}},
        ),
    ),
    "plan an environment from a version": (
        "POST /api/v1/environments/projects/<project_id>",
        lambda s: s.ann.send(
            "POST",
            f"/api/v1/environments/projects/{s.project}",
            json.dumps({**PREVIEW, "template": "web@1.0"}),
            query="dry_run=true",
        ),
    ),
    "create an environment": (
        "POST /api/v1/environments/projects/<project_id>",
        lambda s: s.ann.post(f"/api/v1/environments/projects/{s.project}", PREVIEW),
    ),
    "list environments": (
        "GET /api/v1/environments/projects/<project_id>",
        lambda s: s.ann.get(f"/api/v1/environments/projects/{s.project}"),
    ),
    "ensure one by external id, existing": (
        "PUT /api/v1/projects/<project_id>/environments/by-external-id/<external_id>",
        lambda s: s.ann.send(
            "PUT",
            f"/api/v1/projects/{s.project}/environments/by-external-id/github:pr:123",
            json.dumps(PREVIEW),
        ),
    ),
    "ensure one by external id, created": (
        "PUT /api/v1/projects/<project_id>/environments/by-external-id/<external_id>",
        lambda s: s.ann.send(
            "PUT",
            f"/api/v1/projects/{s.project}/environments/by-external-id/github:pr:124",
            json.dumps(PREVIEW),
        ),
    ),
    "read an environment": (
        "GET /api/v1/environments/<environment_id>",
        lambda s: s.ann.get(_environment(s)),
    ),
    "list its resources": (
        "GET /api/v1/environments/<environment_id>/resources",
        lambda s: s.ann.get(_environment(s, "/resources")),
    ),
    "detect drift": (
        "POST /api/v1/environments/<environment_id>/drift",
        lambda s: s.ann.post(_environment(s, "/drift")),
    ),
    "read its drift": (
        "GET /api/v1/environments/<environment_id>/drift",
        lambda s: s.ann.get(_environment(s, "/drift")),
    ),
    "list its queue": (
        "GET /api/v1/environments/<environment_id>/queue",
        lambda s: s.ann.get(_environment(s, "/queue")),
    ),
    "list its events": (
        "GET /api/v1/environments/<environment_id>/events",
        lambda s: s.ann.get(_environment(s, "/events")),
    ),
    "move to another version": (
        "POST /api/v1/environments/<environment_id>/update",
        lambda s: s.ann.post(_environment(s, "/update"), {"template": "web@1.0"}),
    ),
    "change inputs": (
        "POST /api/v1/environments/<environment_id>/update",
        lambda s: s.ann.post(_environment(s, "/update"), {"inputs": {}}),
    ),
    "change a secret": (
        "POST /api/v1/environments/<environment_id>/update",
        lambda s: s.ann.post(_environment(s, "/update"), {"inputs": {"Password": "hunter33"}}),
    ),
    "read its logs": (
        "GET /api/v1/environments/<environment_id>/logs",
        lambda s: s.ann.get(_environment(s, "/logs")),
    ),
    "extend a lease": (
        "POST /api/v1/environments/<environment_id>/extend",
        lambda s: s.ann.post(_environment(s, "/extend"), {"ttl_hours": 48}),
    ),
    "touch": (
        "POST /api/v1/environments/<environment_id>/touch",
        lambda s: s.ann.post(_environment(s, "/touch")),
    ),
    "pin": (
        "POST /api/v1/environments/<environment_id>/pin",
        lambda s: s.ann.post(_environment(s, "/pin"), {"reason": "a demonstration"}),
    ),
    "unpin": (
        "POST /api/v1/environments/<environment_id>/unpin",
        lambda s: s.ann.post(_environment(s, "/unpin")),
    ),
    "tear down an environment": (
        "DELETE /api/v1/environments/<environment_id>",
        lambda s: s.ann.delete(_environment(s)),
    ),
    "force the end of a failed teardown": (
        "DELETE /api/v1/environments/<environment_id>",
        lambda s: s.ann.delete(_environment(s), force="true"),
    ),
    "retry a teardown": (
        "POST /api/v1/environments/<environment_id>/teardown/retry",
        lambda s: s.ann.post(_environment(s, "/teardown/retry")),
    ),
    "create a deployment": (
        "POST /api/v1/deployments/environments/<environment_id>",
        lambda s: s.ann.post(
            f"/api/v1/deployments/environments/{s.environment}", {"version": "sha-1234567"}
        ),
    ),
    "create a deployment, in a sequence": (
        "POST /api/v1/deployments/environments/<environment_id>",
        lambda s: s.ann.post(
            f"/api/v1/deployments/environments/{s.environment}",
            {"version": "sha-1234567", "sequence": 7},
        ),
    ),
    "create a deployment, unless others are ahead": (
        "POST /api/v1/deployments/environments/<environment_id>",
        lambda s: s.ann.post(
            f"/api/v1/deployments/environments/{s.environment}",
            {"version": "sha-1234567", "on_conflict": "reject"},
        ),
    ),
    "… by the environment's default": (
        "POST /api/v1/deployments/environments/<environment_id>",
        lambda s: s.ann.post(
            f"/api/v1/deployments/environments/{s.environment}", {"version": "sha-1234567"}
        ),
    ),
    "create a deployment, with a key": (
        "POST /api/v1/deployments/environments/<environment_id>",
        lambda s: s.ann.with_headers(idempotency_key="a1b2c3").post(
            f"/api/v1/deployments/environments/{s.environment}", {"version": "sha-1234567"}
        ),
    ),
    "list deployments": (
        "GET /api/v1/deployments/environments/<environment_id>",
        lambda s: s.ann.get(f"/api/v1/deployments/environments/{s.environment}"),
    ),
    "read a deployment": (
        "GET /api/v1/deployments/<deployment_id>",
        lambda s: s.ann.get(_deployment(s)),
    ),
    "cancel a waiting deployment": (
        "POST /api/v1/deployments/<deployment_id>/cancel",
        lambda s: s.ann.post(_deployment(s, "/cancel")),
    ),
    "read logs": (
        "GET /api/v1/deployments/<deployment_id>/logs",
        lambda s: s.ann.get(_deployment(s, "/logs")),
    ),
    "read a timeline": (
        "GET /api/v1/deployments/<deployment_id>/timeline",
        lambda s: s.ann.get(_deployment(s, "/timeline")),
    ),
}
BEFORE: dict[str, Callable[[Stage], Stage]] = {
    "register with an invitation": Stage.administers,
    "prove an address": Stage.registers,
    "set a new password by a link": Stage.resets,
    "make a link for a new password": Stage.administers,
    "list users": Stage.administers,
    "read a user": Stage.administers,
    "change a user's role": Stage.administers,
    "disable a user": Stage.administers,
    "enable a user": Stage.disables,
    "delete a user": Stage.disables,
    "invite an address": Stage.administers,
    "list invitations": Stage.administers,
    "revoke an invitation": Stage.administers,
    "create a deployment, unless others are ahead": Stage.is_alone,
    "… by the environment's default": Stage.has_to_be_alone,
    "force the end of a failed teardown": Stage.fails_to_go,
    "retry a teardown": Stage.fails_to_go,
    "unpin": Stage.is_pinned,
    "detect drift": Stage.is_a_stack,
    "read its drift": Stage.is_a_stack,
    "read a template": Stage.has_template,
    "read its usage": Stage.has_published,
    "list its environments": Stage.has_published,
    "add a version": Stage.has_template,
    "list versions": Stage.has_template,
    "read a version": Stage.has_template,
    "read its body": Stage.has_template,
    "replace a draft": Stage.has_template,
    "delete a draft": Stage.has_template,
    "publish a version": Stage.has_template,
    "deprecate a version": Stage.has_published,
    "create an environment from a version": Stage.has_published,
    "create an environment with a secret": Stage.has_published_secrets,
    "plan an environment from a version": Stage.has_published,
    "move to another version": Stage.is_made_from_one,
    "change inputs": Stage.was_changed,
    "change a secret": Stage.has_secrets,
}


# The round trips that a GET and that a write may take.
MOST = {"GET": 1}
MOST_OF_A_WRITE = 2
# Writes above that budget: before a secret is stored, a clean-up record is written, in case the
# request dies; and which inputs are secret is known only after the template was read. A guess at
# a password is counted before it is tried, and uncounted if it was right; and the account leads to
# the e-mail address, which leads to the password.
OVER = {
    "create an environment with a secret": 3,
    "change a secret": 3,
    "sign in": 3,
    "change the password": 4,
    "set a new password by a link": 3,
    "make a link for a new password": 3,
}


def _answered(service: str, method: str, **request: Any) -> Any:
    from slipway.errors import DriverRefused

    if method == "describe_change_set":
        raise DriverRefused("ChangeSetNotFound: there is none yet")
    return ANSWERS[method]


@contextmanager
def handlers(dynamodb: Watched) -> Iterator[None]:
    """The functions in this process, with the watched table."""
    from slipway import aws
    from slipway.aws import functions, template_bodies
    from tests.support import invoked
    from tests.support.lambda_environment import forget

    stored: dict[str, bytes] = {}
    template_bodies.put = lambda key, body, media: stored.update({key: body})
    template_bodies.get = lambda key: stored[key]
    template_bodies.validate = lambda key: None
    aws.call = _answered
    functions.invoke = invoked.invoke
    dynamodb.create_table()
    before = dict(os.environ)
    os.environ.update(
        environ(dynamodb.endpoint), ALLOWED_RESOURCE_TYPES="*", PLANS_FUNCTION="plans"
    )
    forget()
    try:
        yield
    finally:
        forget()
        os.environ.clear()
        os.environ.update(before)


def measured() -> dict[str, Paid]:
    found = {}
    with Watched() as dynamodb, handlers(dynamodb):
        for name in ROUTES:
            found[name] = _asked(name, dynamodb)
            # On a busy machine concurrent calls may look sequential, but not the reverse.
            for _ in range(TRIES):
                if found[name].depth <= budget(name):
                    break
                found[name] = _asked(name, dynamodb)
    return found


def _asked(name: str, dynamodb: Watched) -> Paid:
    """The calls of the route, with a table of its own."""
    dynamodb.create_table()
    stage = BEFORE[name](Stage()) if name in BEFORE else Stage()
    # The public keys, which a process reads every five minutes.
    assert stage.ann.get(_deployment(stage)).status == 200
    with dynamodb.watching(HOLD_SECONDS) as calls:
        answer = ROUTES[name][1](stage)
    assert answer.status < 300, (name, answer.text)
    return Paid(calls)


def table(found: Mapping[str, Paid]) -> str:
    rows = [
        (
            name,
            ROUTES[name][0].replace("<", "{").replace(">", "}"),
            paid.depth,
            len(paid.calls),
            f"{paid.units[0]:g}",
            paid.units[1],
            paid.sent,
            paid.answered,
            paid.told(),
        )
        for name, paid in found.items()
    ]
    header = ("", "route", "depth", "calls", "RCU", "WCU", "bytes sent", "answered", "which")
    return markdown(header, rows)


HEAD = """# The DynamoDB calls of each route

`make round-trips` writes this page by running every route against a watched table. A test compares
it, so that a change is visible in review.

*depth* is the number of calls that follow each other, which is what a caller waits for. Calls
joined by `+` run at the same time; a call after a comma waits for those before it. *RCU* and *WCU*
are capacity units by DynamoDB's rules: all reads are strongly consistent, a transaction costs
twice, and the sparse index `due` is included. Bytes are those of the bodies. The functions are
warm: a new one reads the public keys once (one Query) and again every five minutes; and, before it
changes inputs, it reads their template version once, which never changes. `/docs`, `/redoc`,
`/openapi.json` and `/health` make no calls.

"""


def budget(name: str) -> int:
    """The round trips that a line of the table may take."""
    return OVER.get(name) or MOST.get(ROUTES[name][0].split()[0], MOST_OF_A_WRITE)


def plot(found: Mapping[str, Paid]) -> None:
    def of(*, reads: bool, depth: int) -> float:
        depths = [
            paid.depth for name, paid in found.items() if ROUTES[name][0].startswith("GET") == reads
        ]
        return depths.count(depth)

    deepest = max(paid.depth for paid in found.values())
    bars(
        "round-trips",
        "Routes, by the round trips that they wait for",
        {
            kind: {
                f"{depth} round trip{'s' * (depth > 1)}": of(reads=reads, depth=depth)
                for depth in range(1, deepest + 1)
            }
            for kind, reads in {"GETs": True, "writes": False}.items()
        },
        "routes",
    )


def main(document: Path = COMMITTED) -> None:
    found = measured()
    document.write_text(HEAD + table(found) + "\n")
    show("Round trips", ("", "depth", "which"), [(n, p.depth, p.told()) for n, p in found.items()])
    if document == COMMITTED:
        plot(found)
    save(
        "round_trips",
        {
            name: {
                "route": ROUTES[name][0],
                "depth": paid.depth,
                "calls": [call.operation for call in paid.calls],
                "units": paid.units,
                "bytes": [paid.sent, paid.answered],
            }
            for name, paid in found.items()
        },
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
