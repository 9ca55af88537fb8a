"""slipway.domain.iam against AWS's pages on policy variables and condition operators:

- https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
- https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from slipway.domain.iam import Request, allows_somewhere, decide, parse

QUEUE = "arn:aws:sqs:us-east-1:000000000000:slipway-env-abc-Jobs"
OWN = "arn:aws:sqs:us-east-1:000000000000:slipway-env-${aws:PrincipalTag/slipway-scope}-*"
TAG = "aws:PrincipalTag/slipway-scope"


def effect(statement: dict[str, Any], resource: str = QUEUE, **context: Any) -> str:
    document = {"Statement": {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"} | statement}
    keys = context.get("keys", {})
    return decide([[parse(document)]], Request("sqs:SendMessage", resource, keys)).effect


@pytest.mark.parametrize(
    ("tag", "decision"),
    [
        ("abc", "Allow"),
        ("abd", "ImplicitDeny"),
        ("ab", "ImplicitDeny"),
        ("", "ImplicitDeny"),
        (None, "ImplicitDeny"),
        # Wildcards in a value are text.
        ("*", "ImplicitDeny"),
        ("a?c", "ImplicitDeny"),
        ("a*", "ImplicitDeny"),
        # A variable takes one value.
        (["abc"], "ImplicitDeny"),
        # A value is not read again.
        ("${aws:PrincipalTag/slipway-scope}", "ImplicitDeny"),
    ],
)
def test_a_variable_in_a_resource_is_the_callers_tag(tag: Any, decision: str) -> None:
    assert effect({"Resource": OWN}, keys={TAG: tag}) == decision
    assert effect({"Resource": OWN}, keys={TAG.lower(): tag}) == decision


def test_a_statement_with_a_variable_without_a_value_does_not_apply() -> None:
    deny = {"Effect": "Deny", "Action": "*", "Resource": OWN}
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    documents = [[parse({"Statement": [deny, allow]})]]

    assert decide(documents, Request("sqs:SendMessage", QUEUE)).allowed
    assert not decide(documents, Request("sqs:SendMessage", QUEUE, {TAG: "abc"})).allowed
    assert effect({"Condition": {"StringEquals": {"k": "${nothing}"}}}, keys={"k": "x"}) != "Allow"


def test_a_default_takes_the_place_of_a_missing_value() -> None:
    pattern = OWN.replace("scope}", "scope, 'abc'}")

    assert effect({"Resource": pattern}) == "Allow"
    assert effect({"Resource": pattern}, keys={TAG: "x"}) == "ImplicitDeny"


@pytest.mark.parametrize(("resource", "matches"), [("a*b?c$", True), ("axbyc$", False)])
def test_the_three_special_characters_can_be_written(resource: str, matches: bool) -> None:
    assert (effect({"Resource": "a${*}b${?}c${$}"}, resource) == "Allow") == matches


@pytest.mark.parametrize(
    ("condition", "keys", "met"),
    [
        # The value on the right is a variable.
        ({"StringEquals": {"k": "${t}"}}, {"k": "a", "t": "a"}, True),
        ({"StringEquals": {"k": "${t}"}}, {"k": "a", "t": "b"}, False),
        ({"StringLike": {"k": "${t}-*"}}, {"k": "a-1", "t": "a"}, True),
        ({"StringLike": {"k": "${t}"}}, {"k": "anything", "t": "*"}, False),
        ({"StringLike": {"k": "${t}"}}, {"k": "*", "t": "*"}, True),
        ({"ArnLike": {"k": "arn:aws:lambda:*:*:function:${t}*"}}, {"t": "f"}, False),
        (
            {"ArnLike": {"k": "arn:aws:lambda:*:*:function:${t}*"}},
            {"k": "arn:aws:lambda:r:1:function:f1", "t": "f"},
            True,
        ),
        # Without a value, the statement does not apply, whatever the operator.
        ({"StringNotEquals": {"k": "${t}"}}, {"k": "a"}, False),
        ({"StringEqualsIfExists": {"k": "${t}"}}, {"k": "a"}, False),
        ({"StringEqualsIfExists": {"k": "${t}"}}, {"t": "a"}, True),
        # Case: keys and operators ignore it.
        ({"stringequals": {"AWS:PrincipalTag/Team": "a"}}, {"aws:principaltag/team": "a"}, True),
        ({"ForAnyValue:StringEqualsIgnoreCase": {"k": "Owner"}}, {"k": ["x", "OWNER"]}, True),
        ({"ForAllValues:StringNotEquals": {"k": ["a", "b"]}}, {"k": ["c", "d"]}, True),
        ({"ForAllValues:StringNotEquals": {"k": ["a", "b"]}}, {"k": ["c", "a"]}, False),
        ({"ForAnyValue:StringEquals": {"k": "a"}}, {}, False),
        ({"Null": {"k": "false"}}, {"k": "a"}, True),
        ({"Null": {"k": "false"}}, {}, False),
        ({"Null": {"k": True}}, {}, True),
        ({"Bool": {"k": True}}, {"k": "TRUE"}, True),
    ],
)
def test_a_condition_holds_as_the_reference_says(
    condition: dict[str, Any], keys: dict[str, Any], met: bool
) -> None:
    assert (effect({"Condition": condition}, keys=keys) == "Allow") == met


def test_every_layer_must_allow_and_the_answer_names_the_layer_that_refuses() -> None:
    everything = [parse({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})]
    nothing = [parse({"Statement": []})]
    request = Request("sqs:SendMessage", QUEUE)

    assert decide([everything, everything], request) == ("Allow", 0, "")
    assert decide([everything, nothing], request) == ("ImplicitDeny", 1, "")
    assert decide([], request).effect == "ImplicitDeny"


def test_the_documents_of_a_layer_add_up_and_a_malformed_statement_allows_nothing() -> None:
    reads = parse({"Statement": [{"Effect": "Allow", "Action": "sqs:Receive*", "Resource": "*"}]})
    sends = parse({"Statement": ["nonsense", {"Effect": "Permit", "Action": "*"}]})

    assert decide([[sends, reads]], Request("sqs:ReceiveMessage", QUEUE)).allowed
    assert not decide([[sends, reads]], Request("sqs:SendMessage", QUEUE)).allowed
    assert allows_somewhere(reads, "SQS:receivemessage")
    assert not allows_somewhere(reads, "sqs:SendMessage")


def test_a_pattern_of_many_stars_is_matched_in_time() -> None:
    began = time.process_time()

    assert effect({"Resource": "*" * 5000 + "x"}, "a" * 5000) == "ImplicitDeny"
    assert effect({"Resource": "a*" * 30 + "b"}, "a" * 200) == "ImplicitDeny"
    assert time.process_time() - began < 1
