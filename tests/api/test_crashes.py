"""A crash at every call of every request, and a client that asks again.

Each request is sent once to number its calls to DynamoDB, then again in a new world for each of
them and each thing that can happen to it. The client does what a client can: it repeats what had
no answer or was told to come again, a POST under its Idempotency-Key, and ends with the answer and
the world that it would have had undisturbed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import filterfalse
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest

from slipway.access import asking, passwords, provider, signing, tokens
from slipway.access.oidc import keys as issuer_keys
from slipway.access.principal import Principal
from slipway.aws import secrets_manager
from slipway.domain import configuration, ids
from slipway.domain.account import NewInvitation
from slipway.domain.api_token import NewToken
from slipway.domain.environment_requests import NewEnvironment
from slipway.domain.ids import TokenId
from slipway.domain.member import NewMember
from slipway.domain.project import NewProject
from slipway.domain.promotion import NewPromotion
from slipway.domain.rollback import NewRollback
from slipway.domain.template import NewTemplate, Version
from slipway.domain.trust import NewTrust
from slipway.http import waiting as waiting_module
from slipway.http.routes import SVG
from slipway.services import (
    confirmations,
    environments,
    external_ids,
    invitations,
    joining,
    lists,
    projects,
    promotions,
    registration,
    rollbacks,
    rollouts,
    templates,
    trusts,
    users,
)
from slipway.settings import settings
from slipway.store import (
    account_records,
    confirmation_records,
    device_records,
    environment_records,
    family_records,
    identity_records,
    issuer_records,
    naming,
    reset_records,
    sessions,
    table,
    template_records,
    token_records,
    user_records,
    wire,
)
from slipway.store.identity_records import Identity
from slipway.store.table import Delete, Put, Transaction, Update
from tests.support.api import company
from tests.support.api.client import FORM, JSON, Answer, Client, app
from tests.support.api.cloud import Cloud
from tests.support.api.people import PASSWORD, password_hash
from tests.support.asking import ask_to_delete
from tests.support.issuer import Issuer
from tests.support.store import world as workflows
from tests.support.workflows import faults
from tests.support.workflows.emulator import acting
from tests.support.workflows.faults import Died
from tests.support.workflows.representations import ambiguous
from tests.support.workflows.world import OWNER, USER, World

pytestmark = [pytest.mark.no_cover, pytest.mark.independent]


RESOURCES = (
    *("auth", "people", "projects", "templates", "environments", "inspection", "deployments"),
    *("configuration", "confirmations", "promotions", "runtime"),
)
FAILURE = {"error": "DriverRefused", "reason": "the bucket is not empty", "step": "Retire"}
# How often a client asks; it waits longer each time.
PATIENCE = 8

Things = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """`route` is its line in the table of routes; `prepare` makes what its path names. `again` is
    the status that tells a client who asks again that it was done. With `groups`, the platform has
    a company's sign-in, and somebody's browser goes all the way again. `twice`: a client who asks
    again has it carried out, and audited, once more. `entries`: how many it leaves in audits.
    `headers` are sent along. `form`: the body is sent as one."""

    route: str
    prepare: Callable[[World], Things]
    body: Any = None
    query: str = ""
    again: int | None = None
    groups: str | None = None
    twice: bool = False
    entries: int = 1
    form: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


def a_company_user(world: World) -> Things:
    """Ann, who came by the company's sign-in before."""
    account = account_records.new("ann@example.com", "member", proven=True)
    identity = Identity(company.ISSUER, "ann")
    account["identity"] = identity.fields()
    identity_records.make(Transaction(), account, identity, None).commit()
    return {"user_id": account["id"]}


def an_invitation_of_ann(world: World) -> Things:
    things = an_administrator(world)
    wanted = NewInvitation(email="ann@example.com", platform_role="publisher")
    invitations.create(wanted, Principal(things["user_id"], "invitations:change"), "https://here")
    return things


def a_user(world: World) -> Things:
    return {"user_id": user_records.add("ann@example.com", password_hash()).id}


SECRET = "a-secret-that-was-mailed"
NEW_PASSWORD = "correct horse battery"
INPUT = "hunter22"


def a_link(world: World) -> Things:
    things = a_user(world)
    [entry] = table.get(account_records.email_key("ann@example.com"))
    write, _, _ = reset_records.new("ann@example.com", entry)
    table.write(write)
    return things


USER_CODE = "BCDFGHJK"


def a_device(world: World) -> Things:
    """A device that shows USER_CODE."""
    write, code = device_records.new(signing.keyed_hash("user code", USER_CODE), "198.51.100.23")
    code = code._replace(secret="s" * len(code.secret))
    item = {**write.item, "secret_digest": account_records.digest(code.secret)}
    table.write(write._replace(item=item))
    return {**a_user(world), "device code": code.text, "device": code.key}


def an_approved_device(world: World) -> Things:
    things = a_device(world)
    approved = {
        "status": "approved",
        "user_id": things["user_id"],
        "email": "ann@example.com",
        "generation": 0,
        "session_ends_at": "2126-11-23T01:02:03.456Z",
    }
    change = "SET " + ", ".join(f"#{name} = :{name}" for name in approved)
    table.write(Update(things["device"], change, approved))
    return things


def a_session(world: World) -> Things:
    things = a_user(world)
    [account] = table.get(account_records.key(things["user_id"]))
    write, first = family_records.new(account)
    table.write(write)
    return {**things, "refresh token": first.text}


def a_token(world: World) -> Things:
    """The path names it."""
    things = a_user(world)
    [account] = table.get(account_records.key(things["user_id"]))
    token = TokenId(things["user_id"].removeprefix("usr_"), ids.new_part())
    wanted = NewToken(name="CI", kind="ci", scopes=["read"])
    for write in token_records.writes(token_records.new(token, wanted, "a hash", account, None)):
        table.write(write)
    return {**things, "token_id": str(token)}


def an_administrator(world: World) -> Things:
    return {"user_id": user_records.add("root@example.com", password_hash(), role="admin").id}


def another_user(world: World) -> Things:
    """The path names ann; root sends the request."""
    ann = user_records.add("ann@example.com", password_hash()).id
    return {"path": {"user_id": ann}, **an_administrator(world)}


def a_disabled_user(world: World) -> Things:
    things = another_user(world)
    users.disable(things["path"]["user_id"], Principal(things["user_id"], "users:change"))
    return things


def an_invitation(world: World) -> Things:
    things = an_administrator(world)
    made = invitations.create(
        NewInvitation(email=CREDENTIALS["email"]),
        Principal(things["user_id"], "environments:create"),
        "",
    )
    return {**things, "invitation_id": made.id, "invitation": made.invitation}


def an_operators_invitation(world: World) -> Things:
    """For an address that has an account."""
    user_records.add(CREDENTIALS["email"], password_hash())
    return {"invitation": registration.invite_administrator(CREDENTIALS["email"])[1]}


def a_registration(world: World) -> Things:
    hashed = password_hash()
    key = account_records.registration_key(SECRET)
    ends = "2999-01-01T00:00:00.000Z"
    item = {"email": "new@example.com", "password_hash": hashed, "expires_at": ends}
    table.write(Put(key, item))
    return {}


def with_members(world: World) -> Things:
    """ann holds a project, bob owns it too, and new@example.com is invited. ann sends the request,
    and the path names bob."""
    ann, bob = (
        user_records.add(f"{name}@example.com", password_hash()).id for name in ("ann", "bob")
    )
    project = ids.parse_project(
        projects.create(NewProject(name="payments"), Principal(ann, "projects:create")).id
    )
    caller = Principal(ann, "members:change")
    joining.add(project, NewMember(email="bob@example.com", role="owner"), caller, "")
    invited = NewMember(email=CREDENTIALS["email"], role="deployer")
    made = joining.add(project, invited, caller, "")
    return {
        "user_id": ann,
        "project_id": project,
        "path": {"user_id": bob, "member_id": bob},
        "invitation": made.invitation,
        "invitation_id": made.invitation_id,
        "bob": bob,
    }


def with_an_invitation(world: World) -> Things:
    things = with_members(world)
    return {**things, "path": {"member_id": things["invitation_id"]}}


def with_a_user(world: World) -> Things:
    user_records.add("eve@example.com", password_hash())
    return with_members(world)


def a_disabled_member(world: World) -> Things:
    """root sends the request, and the path names bob."""
    things = {**with_members(world), **an_administrator(world)}
    users.disable(things["bob"], Principal(things["user_id"], "users:change"))
    return things


def a_disabled_holder(world: World) -> Things:
    """root sends the request, and the path names ann."""
    things = with_members(world)
    holder = {"path": {"user_id": things["user_id"]}}
    things = {**things, **an_administrator(world), **holder}
    users.disable(holder["path"]["user_id"], Principal(things["user_id"], "users:change"))
    return things


def an_invitation_to_a_project(world: World) -> Things:
    return {**with_members(world), **an_administrator(world)}


def a_project(world: World) -> Things:
    return {"project_id": world.project}


def a_trust(world: World) -> Things:
    """Its issuer's keys are known to the table."""
    issuer = Issuer(TRUST["issuer"], "EdDSA")
    owner = Principal(USER, "trusts:change")
    made = trusts.create(world.project, NewTrust.model_validate(TRUST), owner)
    issuer_records.save(issuer.url, issuer.keys)
    return {
        "project_id": world.project,
        "trust_id": made.id,
        "keys": issuer.keys,
        "token": issuer.token(),
    }


def a_trust_of_a_new_issuer(world: World) -> Things:
    things = a_trust(world)
    table.write(Delete(issuer_records.key(TRUST["issuer"])))
    return things


def idle(world: World) -> Things:
    world.use(world.new_project("idle", expiry_mode="idle", warn_before_hours=[0.5]))
    environment = world.environment(ttl_hours=1)
    world.schedule.now += 60
    return {"project_id": world.project, "environment_id": environment, "external_id": "pr-1"}


def named(world: World) -> Things:
    things = running(world)
    new = NewEnvironment.model_validate({**PREVIEW, "external_id": "pr/1"})
    environments.create(things["project_id"], new, OWNER)
    return {"project_id": things["project_id"], "external_id": "pr/1"}


def running(world: World) -> Things:
    world.use(world.new_project("payments", warn_before_hours=[2]))
    environment = world.environment(ttl_hours=4)
    workflows.comes_up(environment)
    return {"project_id": world.project, "environment_id": environment}


def with_names(world: World) -> Things:
    """The names of the project and the environment, which this process has not met."""
    things = running(world)
    [environment] = table.get(environment_records.key(things["environment_id"]))
    return {"project_id": "payments", "environment_id": environment["name"]}


def a_confirmation(world: World) -> Things:
    """A machine's request, in the owner's inbox."""
    things = running(world)
    confirmation = ask_to_delete(USER, things["environment_id"])
    item = confirmation_records.find(confirmation)
    assert item
    confirmations.deliver(item)
    return {**things, "confirmation_id": confirmation}


def of_a_template(world: World) -> Things:
    things = running(world)
    workflows.is_of_a_template(things["environment_id"])
    return things


def with_a_source(world: World) -> Things:
    """An environment in which a version is live, and two targets."""
    things = running(world)
    source = things["environment_id"]
    live = str(ids.DeploymentId(source.p, source.e, ids.new_part()))
    workflows.becomes(source, "running", live_version="v1", live_deployment_id=live)
    targets = {}
    for name in ("target", "other"):
        made = world.environment(name=name)
        workflows.comes_up(made)
        targets[name] = str(made)
    return {**things, "source": str(source), **targets}


def a_promotion(world: World) -> Things:
    things = with_a_source(world)
    wanted = NewPromotion.model_validate({"from": things["source"], "to": [things["target"]]})
    made = promotions.promote(wanted, Principal(USER, "promotions:create"))
    return {**things, "promotion_id": made.id}


def lived_in(world: World) -> Things:
    """Two versions were live, one after the other."""
    things = of_a_template(world)
    for version in ("v1", "v2"):
        made = workflows.deployment(things["environment_id"], OWNER, version)
        workflows.goes_live(made)
    return things


def two_of_them(world: World) -> Things:
    things = lived_in(world)
    return {**things, "other_id": world.environment(name="other", ttl_hours=4)}


def held(world: World) -> Things:
    things = lived_in(world)
    rollbacks.request(things["environment_id"], NewRollback(reason="It is broken"), OWNER)
    return things


def live(world: World) -> Things:
    """An environment in which v1 is live."""
    things = running(world)
    workflows.becomes(things["environment_id"], "running", live_version="v1")
    return things


def pinned(world: World) -> Things:
    things = running(world)
    world.pin(things["environment_id"])
    return things


def not_torn_down(world: World) -> Things:
    things = running(world)
    workflows.becomes(things["environment_id"], "teardown_failed", failure=FAILURE)
    return things


def waiting(world: World) -> Things:
    things = running(world)
    return {**things, "deployment_id": world.deploy(things["environment_id"])}


def shipping(world: World) -> Things:
    things = waiting(world)
    rollouts.acquire_next(things["environment_id"])
    workflows.begins(things["deployment_id"])
    return things


def a_template(world: World) -> Things:
    templates.create(NewTemplate(name="web"), OWNER)
    return {"template": "web", "version": "1.0", "project_id": world.project}


def a_draft(world: World) -> Things:
    things = a_template(world)
    body = json.dumps(BODY).encode()
    templates.add_version("web", None, body, "application/json", OWNER)
    return things


def a_version(world: World) -> Things:
    things = a_draft(world)
    templates.publish("web", Version(1, 0), OWNER)
    return things


def a_secret(world: World) -> Things:
    things = a_template(world)
    body = {**BODY, "Parameters": {"Password": {"Type": "String", "NoEcho": "true"}}}
    templates.add_version("web", None, json.dumps(body).encode(), "application/json", OWNER)
    templates.publish("web", Version(1, 0), OWNER)
    return things


def a_stack(world: World) -> Things:
    things = a_version(world)
    new = NewEnvironment.model_validate({**PREVIEW, "template": "web"})
    made = environments.create(things["project_id"], new, OWNER)
    workflows.comes_up(ids.parse_environment(made.id))
    return {**things, "environment_id": made.id}


ONE = "/api/v1/environments/<environment_id>"
COMPANY = "GET /api/v1/auth/oidc/callback"
PROJECT = "/api/v1/projects/<project_id>"
NAMED = f"{PROJECT}/environments/<environment_id>"
ENSURE = f"{PROJECT}/environments/by-external-id/<external_id>"
DEPLOY = "POST /api/v1/deployments/environments/<environment_id>"
CREDENTIALS = {"email": "new@example.com", "password": PASSWORD}
TEMPLATE = "/api/v1/templates/<template>"
VERSION = f"{TEMPLATE}/versions/<version>"
# What bodies name as THE BOB and so on.
WORDS = (
    *("invitation", "refresh token", "device code", "token", "bob"),
    *("source", "target", "other"),
)
PROMOTED = {"from": "THE SOURCE", "to": ["THE TARGET", "THE OTHER"], "reason": "weekly"}
BODY = {"Resources": {"Jobs": {"Type": "AWS::SQS::Queue"}}}
PREVIEW = {"name": "new", "type": "ephemeral", "config": {"colour": "red"}}
TRUST: dict[str, Any] = {
    "issuer": "https://ci.example.com",
    "claims": {"repository_id": "456789"},
    "scopes": ["read", "deploy"],
}
EXCHANGE = ("POST /api/v1/auth/oidc/exchange", {"token": "THE TOKEN"})
DEVICE = "/api/v1/auth/device"
GRANT = {
    "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
    "device_code": "THE DEVICE CODE",
    "client_id": "slipway-cli",
}
TRUSTS = f"{PROJECT}/trusts"
REQUESTS = {
    "register": Request("POST /api/v1/auth/register", a_user, CREDENTIALS),
    "sign in": Request(
        "POST /api/v1/auth/login",
        a_user,
        {"username": "ann@example.com", "password": PASSWORD},
        twice=True,
    ),
    "change the password": Request(
        "POST /api/v1/auth/password",
        a_user,
        {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
        again=401,
    ),
    "ask for a new password": Request(
        "POST /api/v1/auth/password-reset", a_user, {"email": "ann@example.com"}
    ),
    "set a new password by a link": Request(
        "POST /api/v1/auth/password-reset/confirm",
        a_link,
        {"token": SECRET, "new_password": NEW_PASSWORD},
        again=403,
    ),
    "make a link for a new password": Request(
        "POST /api/v1/users/<user_id>/password-reset", another_user, twice=True
    ),
    "begin a sign-in on a device": Request(
        f"POST {DEVICE}", lambda world: {}, {"client_id": "slipway-cli"}, form=True
    ),
    "sign in on a device": Request(
        f"POST {DEVICE}/token", an_approved_device, GRANT, form=True, again=400
    ),
    "look at a device": Request(f"GET {DEVICE}", a_device, query=f"user_code={USER_CODE}"),
    "approve a device": Request(f"POST {DEVICE}/approve", a_device, {"user_code": USER_CODE}),
    "deny a device": Request(f"POST {DEVICE}/deny", a_device, {"user_code": USER_CODE}),
    "begin with the company's sign-in": Request(
        "GET /api/v1/auth/oidc/login", lambda world: {}, groups=""
    ),
    "come by the company's sign-in": Request(
        COMPANY, lambda world: {}, groups="web=publisher", entries=2, twice=True
    ),
    "come with an invitation": Request(
        COMPANY, an_invitation_of_ann, groups="", entries=2, twice=True
    ),
    "come to an account with a password": Request(
        COMPANY, a_user, groups="web=publisher", entries=3, twice=True
    ),
    "come again": Request(COMPANY, a_company_user, groups="", twice=True),
    "come with a role in a project": Request(
        COMPANY, a_project, groups="web=<project_id>:deployer", entries=3, twice=True
    ),
    "come again with a new group": Request(
        COMPANY, a_company_user, groups="web=publisher", entries=2, twice=True
    ),
    "refresh": Request(
        "POST /api/v1/auth/refresh",
        a_session,
        {"refresh_token": "THE REFRESH TOKEN"},
        again=401,
    ),
    "create a token": Request(
        "POST /api/v1/auth/tokens",
        a_token,
        {"name": "CI", "kind": "ci", "scopes": ["read"]},
        twice=True,
    ),
    "list tokens": Request("GET /api/v1/auth/tokens", a_token),
    "revoke a token": Request("DELETE /api/v1/auth/tokens/<token_id>", a_token, again=404),
    "revoke all tokens": Request("DELETE /api/v1/auth/tokens", a_token, twice=True),
    "sign out": Request("POST /api/v1/auth/logout", a_user, again=401),
    "sign out everywhere": Request("POST /api/v1/auth/logout-everywhere", a_user, again=401),
    "register with an invitation": Request(
        "POST /api/v1/auth/register", an_invitation, {**CREDENTIALS, "invitation": "THE INVITATION"}
    ),
    "recover an administrator": Request(
        "POST /api/v1/auth/register",
        an_operators_invitation,
        {**CREDENTIALS, "invitation": "THE INVITATION"},
    ),
    "prove an address": Request(
        "POST /api/v1/auth/verify-email", a_registration, {"token": SECRET, "password": PASSWORD}
    ),
    "list users": Request("GET /api/v1/users", an_administrator),
    "look at a user": Request("GET /api/v1/users/<user_id>", another_user),
    "look at quotas": Request("GET /api/v1/users/<user_id>/quotas", another_user),
    "change a role": Request(
        "PATCH /api/v1/users/<user_id>", another_user, {"platform_role": "admin"}
    ),
    "disable": Request("POST /api/v1/users/<user_id>/disable", another_user),
    "enable": Request("POST /api/v1/users/<user_id>/enable", a_disabled_user),
    "delete a user": Request("DELETE /api/v1/users/<user_id>", a_disabled_user, again=404),
    "invite": Request(
        "POST /api/v1/invitations", an_administrator, {"email": "new@example.com"}, twice=True
    ),
    "list invitations": Request("GET /api/v1/invitations", an_invitation),
    "revoke": Request("DELETE /api/v1/invitations/<invitation_id>", an_invitation, again=404),
    "list members": Request(f"GET {PROJECT}/members", with_members),
    "look at a member": Request(f"GET {PROJECT}/members/<member_id>", with_members),
    "look at one's permissions": Request(f"GET {PROJECT}/permissions", with_members),
    "add a member": Request(
        f"POST {PROJECT}/members",
        with_a_user,
        {"email": "eve@example.com", "role": "deployer", "overrides": {"production": "viewer"}},
        again=409,
    ),
    "invite to a project": Request(
        f"POST {PROJECT}/members",
        with_members,
        {"email": "eve@example.com", "role": "viewer"},
        twice=True,
    ),
    "invite to a project again": Request(
        f"POST {PROJECT}/members",
        with_members,
        {"email": "new@example.com", "role": "viewer"},
        twice=True,
    ),
    "register with an invitation to a project": Request(
        "POST /api/v1/auth/register", with_members, {**CREDENTIALS, "invitation": "THE INVITATION"}
    ),
    "change a member": Request(
        f"PATCH {PROJECT}/members/<member_id>", with_members, {"role": "viewer"}
    ),
    "remove a member": Request(f"DELETE {PROJECT}/members/<member_id>", with_members, again=404),
    "remove an invitation": Request(
        f"DELETE {PROJECT}/members/<member_id>", with_an_invitation, again=404
    ),
    "leave": Request(f"POST {PROJECT}/leave", with_members, again=404),
    "transfer": Request(f"POST {PROJECT}/transfer", with_members, {"user_id": "THE BOB"}),
    "change a project with members": Request(f"PATCH {PROJECT}", with_members, {"name": "new"}),
    "delete a project with members": Request(f"DELETE {PROJECT}", with_members, again=404),
    "delete a user who is a member": Request(
        "DELETE /api/v1/users/<user_id>", a_disabled_member, again=404, entries=2
    ),
    "hand projects over": Request(
        "POST /api/v1/users/<user_id>/hand-over", a_disabled_holder, {"user_id": "THE BOB"}
    ),
    "revoke an invitation to a project": Request(
        "DELETE /api/v1/invitations/<invitation_id>", an_invitation_to_a_project, again=404
    ),
    "create a project": Request("POST /api/v1/projects", a_user, {"name": "new"}),
    "change a project": Request(f"PATCH {PROJECT}", a_project, {"name": "new"}),
    "describe a project": Request(
        f"PATCH {PROJECT}", a_project, {"description": "x", "policy": {"max_ttl_hours": 4}}
    ),
    "delete a project": Request(f"DELETE {PROJECT}", a_project, again=404),
    "delete a project with all": Request(f"DELETE {PROJECT}", running, query="cascade=true"),
    "trust a workload": Request(f"POST {TRUSTS}", a_project, TRUST),
    "list trusts": Request(f"GET {TRUSTS}", a_trust),
    "look at a trust": Request(f"GET {TRUSTS}/<trust_id>", a_trust),
    "change a trust": Request(f"PATCH {TRUSTS}/<trust_id>", a_trust, {"scopes": ["read"]}),
    "delete a trust": Request(f"DELETE {TRUSTS}/<trust_id>", a_trust, again=404),
    "delete a project with a trust": Request(f"DELETE {PROJECT}", a_trust, again=404),
    "exchange a token": Request(EXCHANGE[0], a_trust, EXCHANGE[1]),
    "exchange one of a new issuer": Request(EXCHANGE[0], a_trust_of_a_new_issuer, EXCHANGE[1]),
    "create an environment": Request(
        "POST /api/v1/environments/projects/<project_id>", a_project, PREVIEW
    ),
    "create one below its project": Request(f"POST {PROJECT}/environments", a_project, PREVIEW),
    "create one with a name of ours": Request(
        "POST /api/v1/environments/projects/<project_id>",
        a_project,
        {**PREVIEW, "external_id": "pr-1"},
    ),
    "create one from a template": Request(
        "POST /api/v1/environments/projects/<project_id>",
        a_version,
        {**PREVIEW, "template": "web"},
    ),
    "create one with a secret": Request(
        "POST /api/v1/environments/projects/<project_id>",
        a_secret,
        {**PREVIEW, "template": "web", "inputs": {"Password": INPUT}},
    ),
    "plan one": Request(
        "POST /api/v1/environments/projects/<project_id>",
        a_secret,
        {**PREVIEW, "template": "web", "inputs": {"Password": INPUT}},
        query="dry_run=true",
    ),
    "preview an update": Request(
        f"POST {ONE}/update", a_stack, {"inputs": {}}, query="dry_run=true"
    ),
    "look for drift": Request(f"POST {ONE}/drift", a_stack),
    "create a template": Request("POST /api/v1/templates", a_user, {"name": "web"}),
    "add a version": Request(f"POST {TEMPLATE}/versions", a_template, BODY),
    "replace a draft": Request(f"PUT {VERSION}", a_draft, {**BODY, "Description": "another"}),
    "delete a draft": Request(f"DELETE {VERSION}", a_draft, again=404),
    "describe a template": Request(f"PATCH {TEMPLATE}", a_draft, {"description": "x"}),
    "delete a template": Request(f"DELETE {TEMPLATE}", a_draft, again=404),
    "publish": Request(f"POST {VERSION}/publish", a_draft),
    "deprecate": Request(f"POST {VERSION}/deprecate", a_version),
    "ensure an environment": Request(f"PUT {ENSURE}", idle, PREVIEW, again=200),
    "change one by a name of ours": Request(
        f"PUT {ENSURE}", named, {**PREVIEW, "config": {"colour": "blue"}}, again=200
    ),
    "look at one by a name of ours": Request(f"GET {ENSURE}", named),
    "tear one down by a name of ours": Request(f"DELETE {ENSURE}", named),
    "give it back": Request(f"DELETE {ONE}", running),
    "give back what failed to go": Request(f"DELETE {ONE}", not_torn_down),
    "forget what remains": Request(f"DELETE {ONE}", not_torn_down, query="force=true"),
    "retry a teardown": Request(f"POST {ONE}/teardown/retry", not_torn_down),
    "protect": Request(f"PATCH {ONE}", running, {"protected": True}),
    "rename": Request(f"PATCH {ONE}", running, {"name": "renamed", "labels": {"team": "x"}}),
    "rename and protect": Request(f"PATCH {ONE}", running, {"name": "x", "protected": True}),
    "configure": Request(
        f"PATCH {ONE}", running, {"config": {"region": "eu"}, "on_conflict": "reject"}
    ),
    "move to another tier": Request(f"PATCH {ONE}", running, {"tier": "staging"}),
    "extend": Request(f"POST {ONE}/extend", running, {"ttl_hours": 48}),
    "touch": Request(f"POST {ONE}/touch", idle),
    "pin": Request(f"POST {ONE}/pin", running, {"reason": "demo"}),
    "unpin": Request(f"POST {ONE}/unpin", pinned),
    "update": Request(
        f"POST {ONE}/update", of_a_template, {"template": "web", "inputs": {"Size": "large"}}
    ),
    "change inputs": Request(f"POST {ONE}/update", of_a_template, {"inputs": {"Size": None}}),
    "roll back": Request(f"POST {ONE}/rollback", lived_in, {"reason": "It is broken"}),
    "compare": Request(f"GET {ONE}/diff/<other_id>", two_of_them),
    "release": Request(f"DELETE {ONE}/hold", held),
    "ship": Request(DEPLOY, running, {"version": "v1"}),
    "ship below the environment": Request(f"POST {ONE}/deployments", running, {"version": "v1"}),
    "ship by names": Request(f"POST {NAMED}/deployments", with_names, {"version": "v1"}),
    "change by names": Request(f"PATCH {NAMED}", with_names, {"labels": {"a": "b"}}),
    "tear down by names": Request(f"DELETE {NAMED}", with_names),
    "ship or not": Request(DEPLOY, running, {"version": "v1", "on_conflict": "reject"}),
    "ship in order": Request(DEPLOY, waiting, {"version": "v2", "sequence": 7}),
    "change variables and deploy": Request(
        f"PATCH {ONE}/variables", live, {"LEVEL": "debug"}, query="apply=now"
    ),
    "cancel what waits": Request("POST /api/v1/deployments/<deployment_id>/cancel", waiting),
    "cancel what runs": Request("POST /api/v1/deployments/<deployment_id>/cancel", shipping),
    "make a pipeline": Request(
        f"PUT {PROJECT}/pipeline", running, {"stages": [{"name": "production"}]}
    ),
    "promote": Request("POST /api/v1/promotions", with_a_source, PROMOTED),
    "promote in order": Request(
        "POST /api/v1/promotions", with_a_source, {**PROMOTED, "on_conflict": "reject"}
    ),
    "plan a promotion": Request(
        "POST /api/v1/promotions", with_a_source, PROMOTED, query="dry_run=true"
    ),
    "look at a promotion": Request("GET /api/v1/promotions/<promotion_id>", a_promotion),
    "list promotions": Request(f"GET {PROJECT}/promotions", a_promotion),
    "list what waits": Request("GET /api/v1/confirmations", a_confirmation),
    "look at what waits": Request("GET /api/v1/confirmations/<confirmation_id>", a_confirmation),
    "approve": Request("POST /api/v1/confirmations/<confirmation_id>/approve", a_confirmation),
    "reject": Request(
        "POST /api/v1/confirmations/<confirmation_id>/reject", a_confirmation, {"reason": "No."}
    ),
    "wait for a state": Request(
        f"GET {ONE}", shipping, query="wait_for=destroyed", headers={"prefer": "wait=3"}
    ),
    "wait for a version": Request(
        f"GET {ONE}", shipping, query="wait_for=version:v1", headers={"prefer": "wait=3"}
    ),
    "wait for an end": Request(
        "GET /api/v1/deployments/<deployment_id>",
        shipping,
        query="wait_for=ended",
        headers={"prefer": "wait=3"},
    ),
    "wait for a line": Request(
        "GET /api/v1/deployments/<deployment_id>/logs", shipping, headers={"prefer": "wait=3"}
    ),
    "look at oneself": Request("GET /api/v1/auth/me", a_user),
    **{
        path: Request(f"GET {path}", shipping)
        for path in (
            "/.well-known/jwks.json",
            "/api/v1/projects",
            PROJECT,
            f"{PROJECT}/audit",
            f"{PROJECT}/audit/verify",
            "/api/v1/environments",
            "/api/v1/environments/projects/<project_id>",
            f"{PROJECT}/environments",
            f"{PROJECT}/deployments",
            f"{PROJECT}/pipeline",
            f"{PROJECT}/stages",
            "/api/v1/deployments",
            ONE,
            f"{ONE}/deployments",
            f"{ONE}/logs",
            f"{ONE}/queue",
            f"{ONE}/events",
            f"{ONE}/metrics",
            f"{ONE}/runtime-logs",
            "/api/v1/deployments/environments/<environment_id>",
            "/api/v1/deployments/<deployment_id>",
            "/api/v1/deployments/<deployment_id>/logs",
            "/api/v1/deployments/<deployment_id>/timeline",
            "/api/v1/deployments/<deployment_id>/timeline.svg",
            "/api/v1/environments/<environment_id>/history.svg",
        )
    },
    **{path: Request(f"GET {path}", with_names) for path in (NAMED, f"{NAMED}/deployments")},
    **{
        path: Request(f"GET {path}", an_administrator)
        for path in ("/api/v1/audit", "/api/v1/audit/verify")
    },
    **{path: Request(f"GET {path}", a_stack) for path in (f"{ONE}/resources", f"{ONE}/drift")},
    **{
        path: Request(f"GET {path}", a_version)
        for path in (
            "/api/v1/templates",
            TEMPLATE,
            f"{TEMPLATE}/usage",
            f"{TEMPLATE}/environments",
            f"{TEMPLATE}/versions",
            VERSION,
            f"{VERSION}/body",
        )
    },
}

# They ask DynamoDB nothing.
WITHOUT_CALLS = {"GET /api/v1/auth/oidc"}
# The fault of one call, and whether every try of it or only the first has it.
HAPPENS = {
    **{name: (fault, 1) for name, fault in faults.FAULTS.items()},
    **{f"{name}, again and again": (faults.FAULTS[name], None) for name in ("fails", "lost")},
    "dies": (faults.dies, None),
}


def test_every_route_is_in_the_list_of_requests() -> None:
    routes = {
        f"{route.method} {route.path}"
        for resource in RESOURCES
        for route in app(resource).api.routes
    }

    # Setting a secret again makes another version: test_configuration_crashes.py is about these.
    of_configuration = {f"{route.method} {route.path}" for route in app("configuration").api.routes}
    covered = {request.route for request in REQUESTS.values()}
    assert covered - of_configuration == routes - WITHOUT_CALLS - of_configuration


@pytest.mark.parametrize("name", REQUESTS)
def test_a_client_that_retries_gets_its_result_exactly_once(
    environ: None,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
    name: str,
) -> None:
    password_hash()
    monkeypatch.setattr(signing, "_secret", lambda: "s" * 64)
    monkeypatch.setattr(secrets_manager, "read", lambda name: "t" * 64)
    monkeypatch.setattr(passwords, "hash_password", lambda password: "a hash")
    monkeypatch.setenv("ALLOWED_RESOURCE_TYPES", "*")
    settings.cache_clear()
    request = REQUESTS[name]
    undisturbed = sent(request)

    cases = [(n, what) for n in range(len(undisturbed.calls)) for what in HAPPENS]
    harm = {
        f"{what} {undisturbed.calls[n]} ({n})": found
        for n, what in cases
        if (found := list(differences(request, undisturbed, sent(request, n, what))))
    }

    record_property("cases", len(cases))
    assert undisturbed.told < 400
    assert undisturbed.audited == (0 if changes_nothing(request) else request.entries)
    assert undisturbed.leaked == []
    assert harm == {}
    assert undisturbed.calls


# A refresh goes on with a session, an exchange makes a token that is kept nowhere, and a link that
# somebody asks for sets nothing by itself, nor do the codes of a device. The last one looks at the
# environment as it is.
NOT_CHANGES = (
    f"POST {DEVICE}",
    "POST /api/v1/auth/refresh",
    "POST /api/v1/auth/oidc/exchange",
    "POST /api/v1/auth/password-reset",
    f"POST {ONE}/drift",
)


def changes_nothing(request: Request) -> bool:
    reads = request.route.startswith("GET ") and request.route != COMPANY
    return reads or "dry_run" in request.query or request.route in NOT_CHANGES


@dataclass(frozen=True)
class Outcome:
    """How a request ended for its client. `world` is what the table holds, without what tells
    one undisturbed run from another: moments, and the ids of what is new."""

    calls: list[str]
    status: int
    answer: Any
    unanswered: int
    told: int
    world: list[str]

    @property
    def audited(self) -> int:
        """The number of entries in audits; each waits to be linked."""
        entries = [sum(f'"pk": "{kind}#' in item for item in self.world) for kind in AUDITS]
        assert entries[0] == entries[1]
        return entries[0]

    @property
    def leaked(self) -> list[str]:
        """The secrets of the requests that are in an audit."""
        entries = [item for item in self.world if f'"pk": "{AUDITS[0]}#' in item]
        return [secret for secret in SECRETS if any(secret in entry for entry in entries)]


AUDITS = ("AUDIT", "UNLINKED")


def is_audited(item: str) -> bool:
    """Whether the item is an entry of an audit, or its copy."""
    return any(f'"pk": "{kind}#' in item for kind in AUDITS)


# None of them, and no hash of one, may be in an entry.
SECRETS = (
    *(PASSWORD, NEW_PASSWORD, SECRET, INPUT, "a hash"),
    *(account_records.digest(each) for each in (PASSWORD, SECRET)),
)


def differences(request: Request, undisturbed: Outcome, outcome: Outcome) -> Iterator[str]:
    world = outcome.world
    if request.twice and outcome.audited:
        # What was carried out twice has two entries. The second has what the first one changed.
        world = [*filter(is_audited, undisturbed.world), *filterfalse(is_audited, world)]
        world.sort()
    if world != undisturbed.world:
        more = [each for each in outcome.world if each not in undisturbed.world]
        less = [each for each in undisturbed.world if each not in outcome.world]
        yield f"more: {more}, less: {less}, {len(outcome.world)} items"
    if outcome.unanswered > 1 or outcome.told not in (503, *range(200, 500)):
        yield f"{outcome.unanswered} times no answer or 503; the worst was {outcome.told}"
    if outcome.status == request.again:
        return
    if (outcome.status, outcome.answer) != (undisturbed.status, undisturbed.answer):
        yield f"{outcome.status}: {outcome.answer}"


class Clock:
    """A clock that only sleep moves, for requests that wait."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def nameless(item: Any) -> Any:
    """The item without the id of a session, which is another one in each run."""
    return {**item, "sk": re.sub("^FAMILY#.*", "FAMILY#", item["sk"])}


def sent(request: Request, n: int | None = None, what: str = "") -> Outcome:
    """The request sent in a new world until it is answered; `what` befalls its nth call."""
    with World() as world, pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        cloud = Cloud(world, patch)
        if request.groups is not None:
            made = company.without_secrets_manager(patch, groups=request.groups)
            firm = stack.enter_context(made)
            firm.provider.people["ann"]["groups"] = ["web"]
        patch.setattr(account_records, "new_secret", lambda: SECRET)
        patch.setattr(asking, "digest_of", lambda *request: "d" * 64)
        patch.setattr(asking, "random", Random(0))
        signing.forget()
        things = request.prepare(world)
        if request.groups and "project_id" in things:
            given = request.groups.replace("<project_id>", str(things["project_id"]))
            patch.setattr(provider, "configuration", lambda: company.configuration(groups=given))
        method, _, path = request.route.partition(" ")
        for word, thing in {**things, **things.get("path", {})}.items():
            path = path.replace(f"<{word}>", str(thing))
        before = json.dumps([wire.decode(item) for item in world.items("")], default=sorted)
        user_id = things.get("user_id", USER)
        if user_id == USER:
            account = {"id": USER, "email": "user@example.com", "status": "active"}
            table.write(Put(sessions.account_key(USER), account))
        client = Client(signing.mint(user_id).access_token, user_id)
        if method == "POST":
            client = client.with_headers(idempotency_key="build-77")
        client = client.with_headers(**request.headers)
        patch.setattr(waiting_module, "time", Clock())
        # As a new process would be.
        tokens.forget()
        signing.forget()
        naming.forget()
        lists.forget()
        template_records.version_of.cache_clear()
        external_ids._guesses.clear()
        world.calls.made.clear()
        if n is not None:
            fault, times = HAPPENS[what]
            world.when(n, fault, times)
        body = None if request.body is None else json.dumps(request.body)
        for word in WORDS:
            if word in things:
                body = body and body.replace(f"THE {word.upper()}", things[word])
        media = FORM if request.form else JSON
        if body and request.form:
            body = urlencode(json.loads(body))
        # The network is not what fails here.
        patch.setattr(issuer_keys, "read", lambda issuer: things["keys"])

        def ask() -> Answer:
            if request.groups is not None:
                return by_browser(firm, path)
            return client.send(method, path, body, media=media, query=request.query)

        answer, unanswered, told = asked(world, ask)
        assert world.calls.unused() == []
        assert list(ambiguous(world.stream)) == []
        calls = [call.name for call in world.calls.made]
        known = set(re.findall(ID, before))
        items = [unpacked(wire.decode(item)) for item in world.items("")]
        held = [
            plain({k: v for k, v in nameless(item).items() if k not in NOT_COMPARED}, known)
            for item in items
            # The id of a look for drift is lost with who began it: what it finds is shown all the
            # same. Reconcile removes the secrets of an environment that was never made, and the
            # stack of a plan that nobody was told of.
            # An attempt may be counted twice if the answer was lost. A session whose tokens were
            # lost is used by nobody, and one whose refresh token is sent again ends. An issuer may
            # be asked twice.
            if item["pk"] != "KEYS"
            and "token_digest" not in item
            # A token is created again if its answer was lost, and the first one is listed.
            and not (request.route == "POST /api/v1/auth/tokens" and "hash" in item)
            # A device that got no codes begins again, and nobody has the first ones.
            and not (request.route == f"POST {DEVICE}" and item["sk"] == "DEVICE")
            # The place of a process that died while it waited is free a little later.
            and not item["pk"].startswith(("ISSUER#", "WAITS"))
            and not item["sk"].startswith(("ATTEMPTS", "DRIFT", "SECRETS", "PLAN#"))
        ]
        noted = {item["stack"] for item in items if item["sk"].startswith("PLAN#")}
        plans = {name for name in cloud.review.made if "-plan-" in name}
        assert plans <= noted
        for path in cloud.secrets:
            e = path.split("/")[3].rpartition("_")[2]
            found = {item["sk"] for item in items if e in item["pk"] + item["sk"]}
            assert found & {f"ENV#{e}", "SECRETS"}, f"{path} is orphaned"
        # The time of day is in a picture.
        is_picture = answer.headers.get("content-type") == SVG
        shown = plain("a picture" if is_picture else answer.json if answer.raw else None, known)
        return Outcome(calls, answer.status, shown, unanswered, told, sorted(held))


def unpacked(item: Things) -> Things:
    """The item, with its slice of a level or a configuration as what it says: it has times in it,
    which differ from world to world."""
    if "data" not in item:
        return item
    return {**item, "data": configuration.unpacked([item["data"]])}


def by_browser(firm: company.Company, path: str) -> Answer:
    """The platform's last answer to somebody who signs in, or its first one that is an error."""
    browser = firm.browser()
    begun = browser.open()
    if begun.status != 302 or path == company.LOGIN:
        return begun
    return browser.come_back(browser.authorize(begun.headers["location"]))


def asked(world: World, ask: Callable[[], Answer]) -> tuple[Answer, int, int]:
    """The answer, how often there was none or it was 503, and the worst status told."""
    unanswered, worst = 0, 0
    for tries in range(PATIENCE):
        try:
            with acting("api"):
                answer = ask()
        except Died:
            unanswered += 1
            continue
        worst = max(worst, answer.status)
        later = int(answer.headers.get("retry-after", 0))
        if not later:
            break
        unanswered += 1
        world.schedule.now += later * 2**tries
    return answer, unanswered, worst


# How often tokens were changed, and all of them ended, counts repetitions as well.
NOT_COMPARED = ("ttl", "due", "tokens_changed", "token_generation")
ID = r"(?<![0-9a-z])[0-9a-z]{20}(?![0-9a-z])"
ETAG = r'(?<="ETag": "\\")[0-9a-f]{16}(?=\\"")'
MOMENT = r"\d{4}-\d\d-\d\dT[\d:.]+Z"


def plain(value: Any, known: set[str]) -> str:
    text = re.sub(MOMENT, "a moment", json.dumps(value, sort_keys=True, default=sorted))
    text = re.sub(r'"(access_token|refresh_token|token|device_code)": "[^"]+"', "", text)
    text = re.sub(r"(?<=[\"=])[B-Z]{4}-[B-Z]{4}(?=\")", "a code", text)
    text = re.sub(ETAG, "an ETag", text)
    # Which of the free slots of a quota is taken is chosen at random.
    text = re.sub(r'(ENVIRONMENT#|DEPLOYMENT#|_[0-9a-z]{20}": ")[0-9]{6}"', r'\1a slot"', text)
    return re.sub(ID, lambda found: found[0] if found[0] in known else "new", text)
