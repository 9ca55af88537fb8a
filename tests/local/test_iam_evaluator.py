"""The evaluator of policies (patches/iam_evaluator.py) against AWS's documents:

- https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
- https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
- https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
- https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

import importlib.util
import itertools
import json
from types import ModuleType
from typing import Any

import pytest

from local.patches import iam_evaluator
from local.patches.iam_evaluator import Limit
from slipway.domain.iam import arn_like

TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/slipway-env-1"
OTHER = "arn:aws:dynamodb:us-east-1:000000000000:table/payroll"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:slipway-env-1"

Statement = dict[str, Any]


@pytest.fixture(scope="module")
def evaluator() -> ModuleType:
    """A copy of the emulator's module with the emulator's patches."""
    spec = importlib.util.find_spec("ministack.core.iam_evaluator")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    iam_evaluator.patch(module)
    return module


def allow(action: str, resource: str = "*", condition: dict[str, Any] | None = None) -> Statement:
    return _statement("Allow", action, resource, condition)


def deny(action: str, resource: str = "*") -> Statement:
    return _statement("Deny", action, resource, None)


def _statement(
    effect: str, action: str, resource: str, condition: dict[str, Any] | None
) -> Statement:
    more = {"Condition": condition} if condition else {}
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def decide(
    evaluator: ModuleType,
    policies: list[Statement],
    *limits: list[Statement],
    action: str = "dynamodb:PutItem",
    resource: str = TABLE,
    **context: Any,
) -> Any:
    """Ask about a role with these policies, a boundary (the first limit) and session policies."""

    def parsed(statements: list[Statement]) -> list[Any]:
        return [evaluator.parse_policy_document(json.dumps({"Statement": statements}))]

    asked = evaluator.EvalContext(
        principal_arn="arn:aws:sts::000000000000:assumed-role/role/session",
        principal_type="AssumedRole",
        principal_account="000000000000",
        action=action,
        resource_arn=resource,
        region="us-east-1",
        service_context={key.lower(): value for key, value in context.get("keys", {}).items()},
    )
    layers = [parsed(limit) for limit in limits]
    if layers:
        layers[0] = Limit(layers[0], "arn:aws:iam::000000000000:policy/boundary")
    return evaluator.evaluate(asked, parsed(policies), *layers)


PUT = "dynamodb:PutItem"


@pytest.mark.parametrize(
    ("policies", "limits", "decision", "reason"),
    [
        ([allow(PUT)], [], "Allow", ""),
        ([], [], "ImplicitDeny", "because no identity-based policy allows"),
        ([allow("dynamodb:GetItem")], [], "ImplicitDeny", "no identity-based policy"),
        ([allow(PUT, OTHER)], [], "ImplicitDeny", "no identity-based policy"),
        ([allow(PUT), deny(PUT)], [], "Deny", "explicit deny in an identity-based policy"),
        ([allow(PUT), deny(PUT, OTHER)], [], "Allow", ""),
        ([allow(PUT)], [[allow("dynamodb:*")]], "Allow", ""),
        ([allow("*")], [[allow("s3:*")]], "ImplicitDeny", "because no permissions boundary allows"),
        ([allow("*")], [[]], "ImplicitDeny", "because no permissions boundary allows"),
        ([], [[allow("*")]], "ImplicitDeny", "because no identity-based policy allows"),
        (
            [allow("*")],
            [[allow("*"), deny(PUT)]],
            "Deny",
            "explicit deny in a permissions boundary: arn:aws:iam::000000000000:policy/boundary",
        ),
        ([allow(PUT)], [[allow(PUT)], [allow(PUT)]], "Allow", ""),
        ([allow(PUT)], [[allow(PUT)], []], "ImplicitDeny", "no session policy allows"),
        ([allow(PUT)], [[allow(PUT)], [deny("*")]], "Deny", "explicit deny in a session policy"),
    ],
)
def test_each_kind_of_policy_has_its_say(
    evaluator: ModuleType,
    policies: list[Statement],
    limits: list[list[Statement]],
    decision: str,
    reason: str,
) -> None:
    result = decide(evaluator, policies, *limits)

    assert result.decision == decision
    assert reason in result.reason


def test_an_explicit_deny_wins_wherever_it_stands(evaluator: ModuleType) -> None:
    for deciding, others in itertools.product(range(3), itertools.product([0, 1], repeat=2)):
        layers = [[allow("*")], [allow("*")], [allow("*")]]
        layers[deciding].insert(others[0], deny(PUT))

        assert decide(evaluator, *layers).decision == "Deny"


def test_a_call_is_allowed_only_if_every_kind_of_policy_allows_it(evaluator: ModuleType) -> None:
    for granted in itertools.product([False, True], repeat=3):
        layers = [[allow(PUT)] if each else [allow("s3:GetObject")] for each in granted]

        assert (decide(evaluator, *layers).decision == "Allow") == all(granted)


@pytest.mark.parametrize(
    ("condition", "keys", "met"),
    [
        # StringEquals is exact, and not met when the key is missing.
        ({"StringEquals": {"iam:PassedToService": "a"}}, {"iam:PassedToService": "a"}, True),
        ({"StringEquals": {"iam:PassedToService": "a"}}, {"iam:PassedToService": "A"}, False),
        ({"StringEquals": {"iam:PassedToService": "a"}}, {}, False),
        ({"StringEquals": {"k": ["b", "a"]}}, {"k": "a"}, True),
        # The names of keys are not case-sensitive.
        (
            {"StringEquals": {"IAM:permissionsboundary": "x"}},
            {"iam:PermissionsBoundary": "x"},
            True,
        ),
        # A negated operator is met when the key is missing.
        ({"StringNotEquals": {"k": "a"}}, {}, True),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "b"}, False),
        ({"StringEqualsIfExists": {"k": "a"}}, {}, True),
        ({"StringEqualsIfExists": {"k": "a"}}, {"k": "b"}, False),
        ({"StringLike": {"kms:ViaService": "dynamodb.*"}}, {"kms:ViaService": "dynamodb.x"}, True),
        ({"Null": {"k": "true"}}, {}, True),
        ({"Null": {"k": "true"}}, {"k": "a"}, False),
        ({"Null": {"k": "false"}}, {"k": "a"}, True),
        # Several keys, and several operators, must all be met.
        ({"StringEquals": {"k": "a", "l": "b"}}, {"k": "a"}, False),
        ({"StringEquals": {"k": "a"}, "StringLike": {"l": "b*"}}, {"k": "a", "l": "bc"}, True),
        ({"StringEquals": {"k": "a"}, "StringLike": {"l": "b*"}}, {"k": "a", "l": "c"}, False),
        # Sets.
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ["a", "b"]}, True),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ["a", "c"]}, False),
        ({"ForAllValues:StringEquals": {"k": ["a"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"k": ["a"]}}, {"k": ["c", "a"]}, True),
        ({"ForAnyValue:StringEquals": {"k": ["a"]}}, {}, False),
        ({"NumericLessThan": {"k": "10"}}, {"k": "9"}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, {}, False),
        # The account that a resource belongs to.
        ({"StringEquals": {"s3:ResourceAccount": "000000000000"}}, {}, True),
        ({"StringEquals": {"s3:ResourceAccount": "111111111111"}}, {}, False),
        # An unknown operator is never met.
        ({"StringIsNearly": {"k": "a"}}, {"k": "a"}, False),
    ],
)
def test_a_condition_is_met_as_the_reference_says(
    evaluator: ModuleType, condition: dict[str, Any], keys: dict[str, Any], met: bool
) -> None:
    found = decide(evaluator, [allow("*", condition=condition)], keys=keys)

    assert (found.decision == "Allow") == met


@pytest.mark.parametrize(
    ("pattern", "like"),
    [
        ("arn:aws:lambda:us-east-1:000000000000:function:slipway-env-*", True),
        ("arn:aws:lambda:*:*:function:slipway-env-?", True),
        ("arn:aws:lambda:us-east-1:000000000000:function:*", True),
        ("*", True),
        ("arn:aws:lambda:us-east-1:000000000000:function:Slipway-env-*", False),
        # Each of the six parts is compared by itself: a * does not reach beyond a colon.
        ("arn:aws:lambda:*:function:slipway-env-*", False),
        ("arn:aws:*", False),
        ("arn:*:slipway-env-1", False),
    ],
)
def test_an_arn_is_compared_part_by_part(evaluator: ModuleType, pattern: str, like: bool) -> None:
    condition = {"ArnLike": {"lambda:FunctionArn": pattern}}
    keys = {"lambda:FunctionArn": FUNCTION}

    found = decide(evaluator, [allow("*", condition=condition)], keys=keys)

    assert (found.decision == "Allow") == like
    assert arn_like(FUNCTION, pattern) == like


def test_the_resource_element_is_one_string_with_wildcards(evaluator: ModuleType) -> None:
    """Unlike ArnLike's, its * reaches beyond colons, as the page on the element says."""
    assert decide(evaluator, [allow("*", "arn:aws:dynamodb:*/slipway-env-*")]).decision == "Allow"


def test_names_of_actions_are_compared_without_case_and_resources_with_it(
    evaluator: ModuleType,
) -> None:
    assert decide(evaluator, [allow("DynamoDB:putitem")]).decision == "Allow"
    assert decide(evaluator, [allow(PUT, TABLE.upper())]).decision == "ImplicitDeny"


def test_a_policy_that_looks_at_the_clock_is_asked_each_time(evaluator: ModuleType) -> None:
    until = {"DateLessThan": {"aws:CurrentTime": "2001-01-01T00:00:00Z"}}
    documents = evaluator.parse_policy_document({"Statement": [allow("*", condition=until)]})

    assert not iam_evaluator._is_cacheable(((documents,),))
    assert decide(evaluator, [allow("*", condition=until)]).decision == "ImplicitDeny"


@pytest.mark.parametrize("condition", [{"StringIsNearly": {"k": "a"}}, {"Bool": "true"}, "true"])
def test_a_condition_that_means_nothing_is_refused_when_the_policy_is_stored(
    evaluator: ModuleType, condition: Any
) -> None:
    """At evaluation, a Deny with it would be lost."""
    statement = deny("*") | {"Condition": condition}

    assert evaluator.validate_policy_document(json.dumps({"Statement": [statement]}))
    assert not evaluator.validate_policy_document(json.dumps({"Statement": [deny("*")]}))


def test_only_the_owners_key_is_the_root_user(
    evaluator: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOWNER")

    assert evaluator.is_root_access_key("AKIAOWNER")
    assert not any(map(evaluator.is_root_access_key, ["", "test", "000000000000", "AKIAEXAMPLE"]))


@pytest.mark.parametrize(
    ("arn", "decision"),
    [
        ("arn:aws:iam::000000000000:role/role", "Allow"),
        ("arn:aws:sts::000000000000:assumed-role/role/*", "ImplicitDeny"),
    ],
)
def test_a_sessions_principal_is_its_role(evaluator: ModuleType, arn: str, decision: str) -> None:
    by = allow("*", condition={"ArnLike": {"aws:PrincipalArn": arn}})

    assert decide(evaluator, [by]).decision == decision


LEADING = [
    {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["KEYS", "ACCOUNT#*"]}},
    {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "ACCOUNT#*"}},
    {"ForAnyValue:StringEquals": {"dynamodb:LeadingKeys": ["ACCOUNT#*", "ACCOUNT#1"]}},
    {"ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": ["ACCOUNT#?", "KEYS"]}},
]
LEADING_KEYS = [["KEYS"], ["KEYS", "A"], ["ACCOUNT#1"], ["ACCOUNT#12"], ["ACCOUNT#*"], ["A"]]


@pytest.mark.parametrize("condition", LEADING)
def test_a_remembered_decision_is_that_of_the_leading_keys(
    evaluator: ModuleType, condition: Any
) -> None:
    """Decisions are remembered for all keys that the policies cannot tell apart."""
    policies = [allow("*"), {**deny("*"), "Condition": condition}]

    def ask(keys: list[str]) -> str:
        asked = {"dynamodb:LeadingKeys": keys}
        return str(decide(evaluator, policies, keys=asked).decision)

    fresh = []
    for keys in LEADING_KEYS:
        expected = evaluator._conditions_met(
            condition,
            evaluator.EvalContext(
                "", "", "", "", "", "", service_context={"dynamodb:leadingkeys": keys}
            ),
        )
        fresh.append("Deny" if expected else "Allow")

    assert [ask(keys) for keys in LEADING_KEYS * 2] == fresh * 2
    assert set(fresh) == {"Allow", "Deny"}
