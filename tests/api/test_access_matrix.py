"""Every operation, for every role, kind of caller and scope, and every object that it can meet.

Generated from the OpenAPI document and the policy. The handlers are the real ones; nothing is
written, so that each request meets the same state (tests.support.api.matrix).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from slipway.access import policy
from slipway.domain.rights import ROLES, SCOPES
from tests.support.api.client import Answer
from tests.support.api.matrix import (
    KINDS,
    SCOPE_SETS,
    TRUST_SETS,
    Caller,
    Operation,
    Stage,
    Target,
    frozen,
    operations,
)
from tests.support.lambda_environment import as_on_lambda
from tests.support.moto_backend import empty, moto

pytestmark = pytest.mark.xdist_group("matrix")
OPERATIONS = list(operations())


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with moto(), as_on_lambda():
        empty()
        made = Stage()
        with frozen():
            yield made


class Expected(NamedTuple):
    """`status` None: the policy lets it pass, so that its own rules decide."""

    status: int | None
    role: str | None = None
    scope: str | None = None


PASSES = Expected(None)


def expected(operation: Operation, caller: Caller, target: Target) -> Expected:
    rule = operation.rule
    if caller.scopes is not None:
        if rule.session:
            return Expected(403)
        if rule.scope and rule.scope not in caller.scopes:
            return Expected(403, scope=rule.scope)
    if rule.administrator and not caller.administrator:
        return Expected(403)
    if rule.role is None:
        return of_the_platform(operation, caller, target)
    if target.where != "here" or caller.role is None:
        return Expected(404)
    needed = needed_role(operation, caller, target)
    if ROLES.index(caller.role) < ROLES.index(needed):
        return Expected(403, role=needed)
    return of_machines(operation, caller) or PASSES


def of_machines(operation: Operation, caller: Caller) -> Expected | None:
    """Rules for tokens and workloads besides those of the table (docs/access.md, docs/ci.md)."""
    if caller.scopes is None:
        return None
    if operation.rule.person and caller.kind != "personal":
        return Expected(403)
    also_destroys = operation.action in ("members:remove", "projects:transfer")
    if also_destroys and caller.kind != "personal" and "destroy" not in caller.scopes:
        return Expected(403, scope="destroy")
    if operation.action == "trusts:change" and operation.body:
        if caller.kind != "personal":
            return Expected(403)
        lacking = set(operation.body["scopes"]) - set(caller.scopes)
        return Expected(403) if lacking else None
    return None


def needed_role(operation: Operation, caller: Caller, target: Target) -> str:
    rule = operation.rule
    if operation.action == "members:change" and isinstance(operation.body, dict):
        # Only an owner appoints maintainers and owners.
        appoints = operation.body["role"] in ("maintainer", "owner")
        return "owner" if appoints and caller.role == "maintainer" else "maintainer"
    if operation.action == "confirmations:decide":
        # Whoever decides must be allowed to do it: here, to tear down in production.
        return "maintainer"
    tier = target.tier
    if operation.action == "environments:create":
        # The example of the document is an ephemeral environment.
        tier = "preview"
    if tier == "preview":
        own = rule.own if target.maker and target.maker == caller.id else None
        return str(own or rule.preview or rule.role)
    return str(rule.role)


def of_the_platform(operation: Operation, caller: Caller, target: Target) -> Expected:
    """What concerns no project."""
    if operation.action == "projects:create" and caller.kind == "workload":
        # It is valid for its own project.
        return Expected(403)
    if operation.action == "account:read" and caller.kind == "workload":
        return Expected(403)
    if operation.action == "tokens:change" and operation.path.endswith("{token_id}"):
        # Another user's.
        return Expected(404)
    if operation.action == "tokens:change" and operation.body and caller.scopes:
        return of_new_tokens(operation, caller)
    if operation.action == "templates:change":
        return PASSES if caller.role == "owner" else Expected(403)
    if operation.action == "templates:delete":
        # No person could confirm what a machine asks, because a template belongs to no project.
        is_person = caller.kind in ("user", "personal")
        return PASSES if caller.role == "owner" and is_person else Expected(403)
    if operation.action == "users:read" and not caller.administrator:
        shares = caller.role is not None and target.where == "here"
        return PASSES if shares else Expected(404)
    return PASSES


def of_new_tokens(operation: Operation, caller: Caller) -> Expected:
    """A token creates none that may do more than itself, or is of a kind that is limited less."""
    kind, scopes = operation.body["kind"], set(operation.body["scopes"])
    narrower = KINDS.index(kind) >= KINDS.index(caller.kind) and scopes <= set(caller.scopes or ())
    return PASSES if narrower else Expected(403)


def agrees(answer: Answer, wanted: Expected, operation: Operation) -> bool:
    if wanted.status is None:
        return answer.status not in (401, 403, 404, 500) or passed_and_found_nothing(
            answer, operation
        )
    if answer.status != wanted.status:
        return False
    if answer.status == 404:
        return bool(answer.json["code"] == "not_found")
    problem = answer.json
    if problem["code"] != "forbidden":
        return False
    if wanted.role:
        return bool(problem.get("required_role") == wanted.role)
    return not wanted.scope or bool(problem.get("required_scope") == wanted.scope)


def passed_and_found_nothing(answer: Answer, operation: Operation) -> bool:
    """Refusals that say nothing of rights: a wrong password, and what an administrator seeks."""
    if operation.path == "/api/v1/auth/password":
        return bool(answer.json["code"] == "wrong_credentials")
    of_administrators = operation.rule.administrator or operation.action == "users:read"
    return of_administrators and answer.status == 404


@pytest.mark.parametrize(
    "operation", OPERATIONS, ids=[f"{each.method} {each.path}" for each in OPERATIONS]
)
def test_a_caller_does_exactly_what_the_policy_says(operation: Operation, stage: Stage) -> None:
    wrong = []
    for caller in stage.callers:
        for target in stage.targets(operation, caller):
            wanted = expected(operation, caller, target)
            answer = operation.send(caller, target)
            if not agrees(answer, wanted, operation):
                who = (caller.role, caller.kind, caller.scopes, caller.administrator)
                what = (target.where, target.tier, bool(target.maker))
                wrong.append((who, what, wanted, answer.status, answer.text[-300:]))
    assert wrong == []


def test_every_action_that_a_route_has_is_met() -> None:
    assert {each.action for each in OPERATIONS} <= set(policy.ACTIONS)


def test_the_callers_are_of_every_role_kind_and_scope(stage: Stage) -> None:
    met = {(each.role, each.kind, each.scopes) for each in stage.callers}

    roles = (None, *ROLES)
    assert {(role, "user", None) for role in roles} <= met
    assert {(role, kind, s) for role in roles for kind in KINDS for s in SCOPE_SETS} <= met
    assert {("maintainer", "workload", scopes) for scopes in TRUST_SETS} <= met
    assert {scope for scopes in SCOPE_SETS for scope in scopes} == set(SCOPES)
