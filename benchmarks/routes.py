"""Every route with a request, the state it needs, and the round trips that it may take."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from benchmarks.stage import BODY, PERSON, TRUST, WEB, Stage

PREVIEW = {"name": "preview-pr-124", "type": "ephemeral", "ttl_hours": 24}
TOKEN = {"name": "CI", "kind": "ci", "scopes": ["read", "config"]}
SIGN_IN = {"username": "ann@example.com", "password": "secret123"}
NEW_PASSWORD = {"current_password": "secret123", "new_password": PERSON["password"]}


SECRET = json.dumps({"value": "x"})


def environment_path(stage: Stage, below: str = "") -> str:
    return f"/api/v1/environments/{stage.environment}{below}"


def deployment_path(stage: Stage, below: str = "") -> str:
    return f"/api/v1/deployments/{stage.deployment}{below}"


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
    "begin a sign-in on a device": (
        "POST /api/v1/auth/device",
        lambda s: s.ann.form("/api/v1/auth/device", {"client_id": "slipway-cli"}),
    ),
    "look at a device": (
        "GET /api/v1/auth/device",
        lambda s: s.ann.get("/api/v1/auth/device", user_code=s.user_code),
    ),
    "approve a device": (
        "POST /api/v1/auth/device/approve",
        lambda s: s.ann.post("/api/v1/auth/device/approve", {"user_code": s.user_code}),
    ),
    "deny a device": (
        "POST /api/v1/auth/device/deny",
        lambda s: s.ann.post("/api/v1/auth/device/deny", {"user_code": s.user_code}),
    ),
    "sign in on a device": (
        "POST /api/v1/auth/device/token",
        lambda s: s.ann.form("/api/v1/auth/device/token", s.grant),
    ),
    "begin with the company's sign-in": (
        "GET /api/v1/auth/oidc/login",
        lambda s: s.firm.browser().open(),
    ),
    "come by the company's sign-in": (
        "GET /api/v1/auth/oidc/callback",
        lambda s: s.firm.sign_in(),
    ),
    "come by it again": (
        "GET /api/v1/auth/oidc/callback",
        lambda s: s.firm.sign_in(),
    ),
    "refresh a session of the company's sign-in": (
        "POST /api/v1/auth/refresh",
        lambda s: s.ann.post("/api/v1/auth/refresh", {"refresh_token": s.refresh_token}),
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
    "refresh a session": (
        "POST /api/v1/auth/refresh",
        lambda s: s.ann.post("/api/v1/auth/refresh", {"refresh_token": s.refresh_token}),
    ),
    "create a token": (
        "POST /api/v1/auth/tokens",
        lambda s: s.ann.post("/api/v1/auth/tokens", TOKEN),
    ),
    "list tokens": (
        "GET /api/v1/auth/tokens",
        lambda s: s.ann.get("/api/v1/auth/tokens"),
    ),
    "revoke a token": (
        "DELETE /api/v1/auth/tokens/<token_id>",
        lambda s: s.ann.delete(f"/api/v1/auth/tokens/{s.token.user_id}"),
    ),
    "revoke all tokens": (
        "DELETE /api/v1/auth/tokens",
        lambda s: s.ann.delete("/api/v1/auth/tokens"),
    ),
    "read the current user, with a token": (
        "GET /api/v1/auth/me",
        lambda s: s.token.get("/api/v1/auth/me"),
    ),
    "change a project, with a token": (
        "PATCH /api/v1/projects/<project_id>",
        lambda s: s.token.patch(f"/api/v1/projects/{s.project}", {"name": "renamed"}),
    ),
    "create a project, with a token": (
        "POST /api/v1/projects",
        lambda s: s.token.post("/api/v1/projects", {"name": "another"}),
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
    "register with an invitation to a project": (
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
    "read a user's quotas": (
        "GET /api/v1/users/<user_id>/quotas",
        lambda s: s.root.get(f"{s.user}/quotas"),
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
    "hand a user's projects over": (
        "POST /api/v1/users/<user_id>/hand-over",
        lambda s: s.root.post(f"{s.user}/hand-over", {"user_id": s.root.user_id}),
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
    "trust a workload": (
        "POST /api/v1/projects/<project_id>/trusts",
        lambda s: s.ann.post(f"/api/v1/projects/{s.project}/trusts", TRUST),
    ),
    "list trusts": (
        "GET /api/v1/projects/<project_id>/trusts",
        lambda s: s.ann.get(f"/api/v1/projects/{s.project}/trusts"),
    ),
    "read a trust": (
        "GET /api/v1/projects/<project_id>/trusts/<trust_id>",
        lambda s: s.ann.get(s.trust),
    ),
    "change a trust": (
        "PATCH /api/v1/projects/<project_id>/trusts/<trust_id>",
        lambda s: s.ann.patch(s.trust, {"scopes": ["read"]}),
    ),
    "delete a trust": (
        "DELETE /api/v1/projects/<project_id>/trusts/<trust_id>",
        lambda s: s.ann.delete(s.trust),
    ),
    "exchange a workload's token": (
        "POST /api/v1/auth/oidc/exchange",
        lambda s: s.exchange(),
    ),
    "… whose issuer's keys have to be read": (
        "POST /api/v1/auth/oidc/exchange",
        lambda s: s.exchange(),
    ),
    "read a project, as a workload": (
        "GET /api/v1/projects/<project_id>",
        lambda s: s.job.get(f"/api/v1/projects/{s.project}"),
    ),
    "read what workloads need": (
        "GET /api/v1/auth/oidc",
        lambda s: s.ann.get("/api/v1/auth/oidc"),
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
    "read a project's audit": (
        "GET /api/v1/projects/<project_id>/audit",
        lambda s: s.ann.get(f"/api/v1/projects/{s.project}/audit"),
    ),
    "look for one action in it": (
        "GET /api/v1/projects/<project_id>/audit",
        lambda s: s.ann.get(f"/api/v1/projects/{s.project}/audit", action="projects:change"),
    ),
    "verify a project's audit": (
        "GET /api/v1/projects/<project_id>/audit/verify",
        lambda s: s.ann.get(f"/api/v1/projects/{s.project}/audit/verify"),
    ),
    "read the platform's audit": ("GET /api/v1/audit", lambda s: s.root.get("/api/v1/audit")),
    "verify the platform's audit": (
        "GET /api/v1/audit/verify",
        lambda s: s.root.get("/api/v1/audit/verify"),
    ),
    "change a project": (
        "PATCH /api/v1/projects/<project_id>",
        lambda s: s.ann.patch(f"/api/v1/projects/{s.project}", {"name": "orders"}),
    ),
    "list members": (
        "GET /api/v1/projects/<project_id>/members",
        lambda s: s.ann.get(s.members),
    ),
    "read a member": (
        "GET /api/v1/projects/<project_id>/members/<member_id>",
        lambda s: s.ann.get(s.member),
    ),
    "add a member": (
        "POST /api/v1/projects/<project_id>/members",
        lambda s: s.ann.post(s.members, {"email": "root@example.com", "role": "viewer"}),
    ),
    "invite an address to a project": (
        "POST /api/v1/projects/<project_id>/members",
        lambda s: s.ann.post(s.members, {"email": "dan@example.com", "role": "viewer"}),
    ),
    "change a member's role": (
        "PATCH /api/v1/projects/<project_id>/members/<member_id>",
        lambda s: s.ann.patch(s.member, {"role": "maintainer"}),
    ),
    "remove a member": (
        "DELETE /api/v1/projects/<project_id>/members/<member_id>",
        lambda s: s.ann.delete(s.member),
    ),
    "remove an invitation to a project": (
        "DELETE /api/v1/projects/<project_id>/members/<member_id>",
        lambda s: s.ann.delete(s.seat),
    ),
    "leave a project": (
        "POST /api/v1/projects/<project_id>/leave",
        lambda s: s.ann.post(f"/api/v1/projects/{s.project}/leave"),
    ),
    "transfer a project": (
        "POST /api/v1/projects/<project_id>/transfer",
        lambda s: s.ann.post(f"/api/v1/projects/{s.project}/transfer", {"user_id": s.eve}),
    ),
    "read one's permissions": (
        "GET /api/v1/projects/<project_id>/permissions",
        lambda s: s.ann.get(f"/api/v1/projects/{s.project}/permissions"),
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
    "describe a template": (
        "PATCH /api/v1/templates/<template>",
        lambda s: s.ann.patch(WEB, {"description": "A queue."}),
    ),
    "delete a template": (
        "DELETE /api/v1/templates/<template>",
        lambda s: s.ann.with_headers(x_confirm="web").delete(WEB),
    ),
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
        lambda s: s.ann.send("PUT", f"{WEB}/versions/1.0", BODY + "#", media="application/yaml"),
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
    "create an environment, by the natural path": (
        "POST /api/v1/projects/<project_id>/environments",
        lambda s: s.ann.post(f"/api/v1/projects/{s.project}/environments", PREVIEW),
    ),
    "list environments": (
        "GET /api/v1/environments/projects/<project_id>",
        lambda s: s.ann.get(f"/api/v1/environments/projects/{s.project}"),
    ),
    "list environments, with the destroyed ones": (
        "GET /api/v1/projects/<project_id>/environments",
        lambda s: s.ann.get(f"/api/v1/projects/{s.project}/environments", include="ended"),
    ),
    "list the environments of all projects": (
        "GET /api/v1/environments",
        lambda s: s.ann.get("/api/v1/environments"),
    ),
    "read one by external id": (
        "GET /api/v1/projects/<project_id>/environments/by-external-id/<external_id>",
        lambda s: s.ann.get(s.by_external_id),
    ),
    "… that this process has not met": (
        "GET /api/v1/projects/<project_id>/environments/by-external-id/<external_id>",
        lambda s: s.ann.get(s.by_external_id),
    ),
    "tear one down by external id": (
        "DELETE /api/v1/projects/<project_id>/environments/by-external-id/<external_id>",
        lambda s: s.ann.delete(s.by_external_id),
    ),
    "ensure one by external id, existing": (
        "PUT /api/v1/projects/<project_id>/environments/by-external-id/<external_id>",
        lambda s: s.ann.send(
            "PUT", s.by_external_id, json.dumps({"name": "preview", "type": "ephemeral"})
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
        lambda s: s.ann.get(environment_path(s)),
    ),
    "read the lines of its functions": (
        "GET /api/v1/environments/<environment_id>/runtime-logs",
        lambda s: s.ann.get(environment_path(s, "/runtime-logs")),
    ),
    "read the metrics of its functions": (
        "GET /api/v1/environments/<environment_id>/metrics",
        lambda s: s.ann.get(environment_path(s, "/metrics")),
    ),
    "list its resources": (
        "GET /api/v1/environments/<environment_id>/resources",
        lambda s: s.ann.get(environment_path(s, "/resources")),
    ),
    "list variables": (
        "GET /api/v1/environments/<environment_id>/variables",
        lambda s: s.ann.get(environment_path(s, "/variables")),
    ),
    "change variables": (
        "PATCH /api/v1/environments/<environment_id>/variables",
        lambda s: s.ann.patch(environment_path(s, "/variables"), {"LOG_LEVEL": "debug"}),
    ),
    "list a project's variables": (
        "GET /api/v1/projects/<project_id>/variables",
        lambda s: s.ann.get(f"/api/v1/projects/{s.project}/variables"),
    ),
    "change a project's variables": (
        "PATCH /api/v1/projects/<project_id>/variables",
        lambda s: s.ann.patch(f"/api/v1/projects/{s.project}/variables", {"LOG_LEVEL": "info"}),
    ),
    "list secrets": (
        "GET /api/v1/environments/<environment_id>/secrets",
        lambda s: s.ann.get(environment_path(s, "/secrets")),
    ),
    "set a secret": (
        "PUT /api/v1/environments/<environment_id>/secrets/<secret>",
        lambda s: s.ann.send("PUT", environment_path(s, "/secrets/PASSWORD"), SECRET),
    ),
    "remove a secret": (
        "DELETE /api/v1/environments/<environment_id>/secrets/<secret>",
        lambda s: s.ann.delete(environment_path(s, "/secrets/PASSWORD")),
    ),
    "reveal a secret": (
        "POST /api/v1/environments/<environment_id>/secrets/<secret>/reveal",
        lambda s: s.ann.post(environment_path(s, "/secrets/PASSWORD/reveal")),
    ),
    "list secrets of a project": (
        "GET /api/v1/projects/<project_id>/secrets",
        lambda s: s.ann.get(f"/api/v1/projects/{s.project}/secrets"),
    ),
    "set a secret of a project": (
        "PUT /api/v1/projects/<project_id>/secrets/<secret>",
        lambda s: s.ann.send("PUT", f"/api/v1/projects/{s.project}/secrets/PASSWORD", SECRET),
    ),
    "remove a secret of a project": (
        "DELETE /api/v1/projects/<project_id>/secrets/<secret>",
        lambda s: s.ann.delete(f"/api/v1/projects/{s.project}/secrets/PASSWORD"),
    ),
    "reveal a secret of a project": (
        "POST /api/v1/projects/<project_id>/secrets/<secret>/reveal",
        lambda s: s.ann.post(f"/api/v1/projects/{s.project}/secrets/PASSWORD/reveal"),
    ),
    "list configurations": (
        "GET /api/v1/environments/<environment_id>/configurations",
        lambda s: s.ann.get(environment_path(s, "/configurations")),
    ),
    "read a configuration": (
        "GET /api/v1/environments/<environment_id>/configurations/<number>",
        lambda s: s.ann.get(environment_path(s, "/configurations/1")),
    ),
    "compare configurations": (
        "GET /api/v1/environments/<environment_id>/configurations/<number>/diff/<other>",
        lambda s: s.ann.get(environment_path(s, "/configurations/1/diff/2")),
    ),
    "restore a configuration": (
        "POST /api/v1/environments/<environment_id>/configurations/<number>/restore",
        lambda s: s.ann.post(environment_path(s, "/configurations/1/restore")),
    ),
    "purge a value": (
        "POST /api/v1/environments/<environment_id>/configurations/purge",
        lambda s: s.ann.post(environment_path(s, "/configurations/purge"), {"name": "PORT"}),
    ),
    "purge a project's value": (
        "POST /api/v1/projects/<project_id>/configurations/purge",
        lambda s: s.ann.post(f"/api/v1/projects/{s.project}/configurations/purge", {"name": "X"}),
    ),
    "detect drift": (
        "POST /api/v1/environments/<environment_id>/drift",
        lambda s: s.ann.post(environment_path(s, "/drift")),
    ),
    "read its drift": (
        "GET /api/v1/environments/<environment_id>/drift",
        lambda s: s.ann.get(environment_path(s, "/drift")),
    ),
    "list its queue": (
        "GET /api/v1/environments/<environment_id>/queue",
        lambda s: s.ann.get(environment_path(s, "/queue")),
    ),
    "list its events": (
        "GET /api/v1/environments/<environment_id>/events",
        lambda s: s.ann.get(environment_path(s, "/events")),
    ),
    "move to another version": (
        "POST /api/v1/environments/<environment_id>/update",
        lambda s: s.ann.post(environment_path(s, "/update"), {"template": "web@1.0"}),
    ),
    "change inputs": (
        "POST /api/v1/environments/<environment_id>/update",
        lambda s: s.ann.post(environment_path(s, "/update"), {"inputs": {}}),
    ),
    "change a secret": (
        "POST /api/v1/environments/<environment_id>/update",
        lambda s: s.ann.post(environment_path(s, "/update"), {"inputs": {"Password": "hunter33"}}),
    ),
    "compare two environments": (
        "GET /api/v1/environments/<environment_id>/diff/<other_id>",
        lambda s: s.ann.get(environment_path(s, f"/diff/{s.environment}")),
    ),
    "roll back": (
        "POST /api/v1/environments/<environment_id>/rollback",
        lambda s: s.ann.post(environment_path(s, "/rollback"), {"reason": "a trial"}),
    ),
    "release a hold": (
        "DELETE /api/v1/environments/<environment_id>/hold",
        lambda s: s.ann.delete(environment_path(s, "/hold")),
    ),
    "read its logs": (
        "GET /api/v1/environments/<environment_id>/logs",
        lambda s: s.ann.get(environment_path(s, "/logs")),
    ),
    "protect an environment": (
        "PATCH /api/v1/environments/<environment_id>",
        lambda s: s.ann.patch(environment_path(s), {"protected": True}),
    ),
    "rename an environment": (
        "PATCH /api/v1/environments/<environment_id>",
        lambda s: s.ann.patch(environment_path(s), {"name": "renamed", "labels": {"team": "x"}}),
    ),
    "extend a lease": (
        "POST /api/v1/environments/<environment_id>/extend",
        lambda s: s.ann.post(environment_path(s, "/extend"), {"ttl_hours": 48}),
    ),
    "touch": (
        "POST /api/v1/environments/<environment_id>/touch",
        lambda s: s.ann.post(environment_path(s, "/touch")),
    ),
    "pin": (
        "POST /api/v1/environments/<environment_id>/pin",
        lambda s: s.ann.post(environment_path(s, "/pin"), {"reason": "a demonstration"}),
    ),
    "unpin": (
        "POST /api/v1/environments/<environment_id>/unpin",
        lambda s: s.ann.post(environment_path(s, "/unpin")),
    ),
    "tear down an environment": (
        "DELETE /api/v1/environments/<environment_id>",
        lambda s: s.ann.delete(environment_path(s)),
    ),
    "force the end of a failed teardown": (
        "DELETE /api/v1/environments/<environment_id>",
        lambda s: s.ann.delete(environment_path(s), force="true"),
    ),
    "promote to another environment": (
        "POST /api/v1/promotions",
        lambda s: s.ann.post("/api/v1/promotions", s.promotion()),
    ),
    "read a promotion": (
        "GET /api/v1/promotions/<promotion_id>",
        lambda s: s.ann.get(s.promoted),
    ),
    "list a project's promotions": (
        "GET /api/v1/projects/<project_id>/promotions",
        lambda s: s.ann.get(f"/api/v1/projects/{s.project}/promotions"),
    ),
    "read a pipeline": (
        "GET /api/v1/projects/<project_id>/pipeline",
        lambda s: s.ann.get(f"/api/v1/projects/{s.project}/pipeline"),
    ),
    "replace a pipeline": (
        "PUT /api/v1/projects/<project_id>/pipeline",
        lambda s: s.ann.put(f"/api/v1/projects/{s.project}/pipeline", s.pipeline()),
    ),
    "list the stages of a pipeline": (
        "GET /api/v1/projects/<project_id>/stages",
        lambda s: s.ann.get(f"/api/v1/projects/{s.project}/stages"),
    ),
    "list what a person may confirm": (
        "GET /api/v1/confirmations",
        lambda s: s.ann.get("/api/v1/confirmations"),
    ),
    "read a confirmation": (
        "GET /api/v1/confirmations/<confirmation_id>",
        lambda s: s.ann.get(s.confirmation),
    ),
    "approve a machine's request": (
        "POST /api/v1/confirmations/<confirmation_id>/approve",
        lambda s: s.ann.post(f"{s.confirmation}/approve"),
    ),
    "reject a machine's request": (
        "POST /api/v1/confirmations/<confirmation_id>/reject",
        lambda s: s.ann.post(f"{s.confirmation}/reject"),
    ),
    "retry a teardown": (
        "POST /api/v1/environments/<environment_id>/teardown/retry",
        lambda s: s.ann.post(environment_path(s, "/teardown/retry")),
    ),
    "create a deployment": (
        "POST /api/v1/deployments/environments/<environment_id>",
        lambda s: s.ann.post(
            f"/api/v1/deployments/environments/{s.environment}", {"version": "sha-1234567"}
        ),
    ),
    "create a deployment, by the natural path": (
        "POST /api/v1/environments/<environment_id>/deployments",
        lambda s: s.ann.post(
            f"/api/v1/environments/{s.environment}/deployments", {"version": "sha-1234567"}
        ),
    ),
    "create a deployment, by names": (
        "POST /api/v1/projects/<project_id>/environments/<environment_id>/deployments",
        lambda s: s.ann.post(f"{s.named}/deployments", {"version": "sha-1234567"}),
    ),
    "list deployments, by names": (
        "GET /api/v1/projects/<project_id>/environments/<environment_id>/deployments",
        lambda s: s.ann.get(f"{s.named}/deployments"),
    ),
    "read an environment, by names": (
        "GET /api/v1/projects/<project_id>/environments/<environment_id>",
        lambda s: s.ann.get(s.named),
    ),
    "change an environment, by names": (
        "PATCH /api/v1/projects/<project_id>/environments/<environment_id>",
        lambda s: s.ann.patch(s.named, {"protected": True}),
    ),
    "tear down an environment, by names": (
        "DELETE /api/v1/projects/<project_id>/environments/<environment_id>",
        lambda s: s.ann.delete(s.named),
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
    "list the deployments of all projects": (
        "GET /api/v1/deployments",
        lambda s: s.ann.get("/api/v1/deployments"),
    ),
    "list the deployments in a project": (
        "GET /api/v1/projects/<project_id>/deployments",
        lambda s: s.ann.get(f"/api/v1/projects/{s.project}/deployments"),
    ),
    "list deployments, by the natural path": (
        "GET /api/v1/environments/<environment_id>/deployments",
        lambda s: s.ann.get(f"/api/v1/environments/{s.environment}/deployments"),
    ),
    "list deployments": (
        "GET /api/v1/deployments/environments/<environment_id>",
        lambda s: s.ann.get(f"/api/v1/deployments/environments/{s.environment}"),
    ),
    "read a deployment": (
        "GET /api/v1/deployments/<deployment_id>",
        lambda s: s.ann.get(deployment_path(s)),
    ),
    "cancel a waiting deployment": (
        "POST /api/v1/deployments/<deployment_id>/cancel",
        lambda s: s.ann.post(deployment_path(s, "/cancel")),
    ),
    "read logs": (
        "GET /api/v1/deployments/<deployment_id>/logs",
        lambda s: s.ann.get(deployment_path(s, "/logs")),
    ),
    "read a timeline": (
        "GET /api/v1/deployments/<deployment_id>/timeline",
        lambda s: s.ann.get(deployment_path(s, "/timeline")),
    ),
    "draw a timeline": (
        "GET /api/v1/deployments/<deployment_id>/timeline.svg",
        lambda s: s.ann.get(deployment_path(s, "/timeline.svg")),
    ),
    "draw an environment's history": (
        "GET /api/v1/environments/<environment_id>/history.svg",
        lambda s: s.ann.get(f"/api/v1/environments/{s.environment}/history.svg"),
    ),
}
BEFORE: dict[str, Callable[[Stage], Stage]] = {
    **dict.fromkeys(
        (
            *("list what a person may confirm", "read a confirmation"),
            *("approve a machine's request", "reject a machine's request"),
        ),
        Stage.with_confirmation,
    ),
    "promote to another environment": Stage.with_source,
    "read a promotion": Stage.with_promotion,
    "list a project's promotions": Stage.with_promotion,
    "register with an invitation": Stage.with_administrator,
    "list members": Stage.with_member,
    "read a member": Stage.with_member,
    "add a member": Stage.with_member,
    "invite an address to a project": Stage.with_member,
    "change a member's role": Stage.with_member,
    "remove a member": Stage.with_member,
    "remove an invitation to a project": Stage.with_member,
    "leave a project": Stage.with_other_owner,
    "transfer a project": Stage.with_member,
    "prove an address": Stage.with_registration,
    "set a new password by a link": Stage.with_reset_link,
    "look at a device": Stage.with_device,
    "approve a device": Stage.with_device,
    "deny a device": Stage.with_device,
    "sign in on a device": Stage.with_approved_device,
    "refresh a session": Stage.with_refresh_token,
    "begin with the company's sign-in": Stage.with_company,
    "come by the company's sign-in": Stage.with_company,
    "come by it again": Stage.with_company_user,
    "refresh a session of the company's sign-in": Stage.with_company_user,
    "list tokens": Stage.with_token,
    "revoke a token": Stage.with_token,
    "revoke all tokens": Stage.with_token,
    "read the current user, with a token": Stage.with_token,
    "change a project, with a token": Stage.with_token,
    "create a project, with a token": Stage.with_token,
    "make a link for a new password": Stage.with_administrator,
    "list users": Stage.with_administrator,
    "read the platform's audit": Stage.with_administrator,
    "verify the platform's audit": Stage.with_administrator,
    "read a user": Stage.with_administrator,
    "read a user's quotas": Stage.with_administrator,
    "change a user's role": Stage.with_administrator,
    "disable a user": Stage.with_administrator,
    "enable a user": Stage.with_disabled_user,
    "hand a user's projects over": Stage.with_disabled_user,
    "register with an invitation to a project": Stage.with_member,
    "delete a user": Stage.with_disabled_user,
    "invite an address": Stage.with_administrator,
    "list invitations": Stage.with_administrator,
    "revoke an invitation": Stage.with_administrator,
    "read a trust": Stage.with_trust,
    "change a trust": Stage.with_trust,
    "delete a trust": Stage.with_trust,
    "list trusts": Stage.with_trust,
    "exchange a workload's token": Stage.with_issuers_keys,
    "… whose issuer's keys have to be read": Stage.with_trust,
    "read a project, as a workload": Stage.with_workload,
    "create a deployment, unless others are ahead": Stage.with_quiet_environment,
    "… by the environment's default": Stage.with_rejecting_environment,
    "list the environments of all projects": Stage.with_known_projects,
    **dict.fromkeys(
        (
            *("create a deployment, by names", "list deployments, by names"),
            *("read an environment, by names", "change an environment, by names"),
            "tear down an environment, by names",
        ),
        Stage.with_known_names,
    ),
    "list the deployments of all projects": Stage.with_known_projects,
    "read one by external id": Stage.with_known_external_id,
    "tear one down by external id": Stage.with_known_external_id,
    "force the end of a failed teardown": Stage.with_failed_teardown,
    "roll back": Stage.with_two_live,
    "release a hold": Stage.with_hold,
    "retry a teardown": Stage.with_failed_teardown,
    "unpin": Stage.with_pin,
    **dict.fromkeys(
        (
            *("remove a secret", "reveal a secret", "remove a secret of a project"),
            *("reveal a secret of a project", "read a configuration", "compare configurations"),
            *("restore a configuration", "purge a value"),
        ),
        Stage.with_configurations,
    ),
    "detect drift": Stage.with_stack,
    "read its drift": Stage.with_stack,
    "read a template": Stage.with_draft,
    "read its usage": Stage.with_published_version,
    "list its environments": lambda s: s.with_published_version().with_known_projects(),
    "add a version": Stage.with_draft,
    "describe a template": Stage.with_draft,
    "delete a template": Stage.with_published_version,
    "list versions": Stage.with_draft,
    "read a version": Stage.with_draft,
    "read its body": Stage.with_draft,
    "replace a draft": Stage.with_draft,
    "delete a draft": Stage.with_draft,
    "publish a version": Stage.with_draft,
    "deprecate a version": Stage.with_published_version,
    "create an environment from a version": Stage.with_published_version,
    "create an environment with a secret": Stage.with_published_secrets,
    "plan an environment from a version": Stage.with_published_version,
    "move to another version": Stage.with_environment_from_template,
    "change inputs": Stage.with_changed_inputs,
    "change a secret": Stage.with_secrets,
}


# The round trips that a GET and that a write may take.
MOST = {"GET": 1}
MOST_OF_A_WRITE = 2
# Writes above that budget: before a secret is stored, a clean-up record is written, in case the
# request dies; and which inputs are secret is known only after the template was read. A guess at
# a password is counted before it is tried, and uncounted if it was right; and the account leads to
# the e-mail address, which leads to the password. An attempt to read an issuer's keys is counted
# before it is made, and the keys are kept for the next exchanges. An identity of
# the company's sign-in, which comes with a GET, leads to the account, and the session begins once
# the account's roles are right. An external id leads to the environment; a process remembers it.
OVER = {
    "… that this process has not met": 2,
    "come by the company's sign-in": 3,
    "come by it again": 3,
    "create an environment with a secret": 3,
    "change a secret": 3,
    "sign in": 3,
    **dict.fromkeys(("set a secret", "set a secret of a project"), 3),
    # One read for the content to restore, one for the levels, and the write.
    "restore a configuration": 3,
    # Each configuration is looked at once it is recorded that the value is gone.
    "purge a value": 11,
    "purge a project's value": 6,
    # The account's count of changes is read before the tokens that it counts.
    "create a token": 3,
    "revoke a token": 3,
    "change the password": 4,
    "set a new password by a link": 3,
    "make a link for a new password": 3,
    "… whose issuer's keys have to be read": 3,
}


def budget(name: str) -> int:
    """The round trips that a line of the table may take."""
    return OVER.get(name) or MOST.get(ROUTES[name][0].split()[0], MOST_OF_A_WRITE)
