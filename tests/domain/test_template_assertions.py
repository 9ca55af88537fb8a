"""Assertions in a template's Rules, as far as the values are known."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.domain import template_assertions
from slipway.domain.template import Parameter

PARAMETERS = [
    Parameter.model_validate({"name": name, "type": type, **more})
    for name, type, more in (
        ("Stage", "String", {"default": "test"}),
        ("Zones", "CommaDelimitedList", {"default": "a, b"}),
        ("Secret", "String", {"default": "x", "no_echo": True}),
        ("Version", "String", {"default": "none"}),
        ("Open", "String", {}),
        ("Image", "AWS::SSM::Parameter::Value<String>", {"default": "/aws/service/a"}),
    )
]
YES: Any = {"Fn::Equals": [{"Ref": "Stage"}, "test"]}
NO: Any = {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}
UNKNOWN: Any = {"Fn::Equals": [{"Ref": "Open"}, "x"]}
ZONES: Any = {"Ref": "Zones"}


def broken(assertion: Any, condition: Any = None, **values: str) -> list[str]:
    rule: dict[str, Any] = {"Assertions": [{"Assert": assertion, "AssertDescription": "said"}]}
    if condition is not None:
        rule["RuleCondition"] = condition
    rules = template_assertions.written({"R": rule})
    assert rules
    return list(template_assertions.broken(rules, PARAMETERS, values))


@pytest.mark.parametrize(
    "assertion",
    [
        NO,
        {"Fn::Not": [YES]},
        {"Fn::And": [YES, NO]},
        {"Fn::And": [UNKNOWN, NO]},
        {"Fn::Or": [NO, NO]},
        {"Fn::Contains": [["a", "b"], {"Ref": "Stage"}]},
        {"Fn::Contains": [ZONES, "c"]},
        {"Fn::EachMemberEquals": [ZONES, "a"]},
        {"Fn::EachMemberIn": [ZONES, ["a", "c"]]},
    ],
)
def test_an_assertion_that_does_not_hold_is_told(assertion: Any) -> None:
    assert broken(assertion) == ["said"]


@pytest.mark.parametrize(
    "assertion",
    [
        YES,
        {"Fn::Not": [NO]},
        {"Fn::And": [YES, YES]},
        {"Fn::Or": [UNKNOWN, YES]},
        {"Fn::Contains": [["test"], {"Ref": "Stage"}]},
        {"Fn::EachMemberIn": [ZONES, ["a", "b", "c"]]},
        # What is not known is left to CloudFormation.
        UNKNOWN,
        {"Fn::Not": [UNKNOWN]},
        {"Fn::Or": [UNKNOWN, NO]},
        {"Fn::Equals": [{"Ref": "Secret"}, "y"]},
        {"Fn::Equals": [{"Ref": "Version"}, "v1"]},
        {"Fn::Equals": [{"Ref": "AWS::Region"}, "x"]},
        {"Fn::Equals": [{"Ref": "Image"}, "ami-1"]},
        {"Fn::Equals": [ZONES, "a"]},
        {"Fn::Equals": ["a"]},
        {"Fn::Select": ["0", ["a", "b"]]},
        {"Fn::Contains": [["a", {"Ref": "Open"}], "c"]},
        "x",
        None,
    ],
)
def test_an_assertion_that_may_hold_is_not_told(assertion: Any) -> None:
    assert broken(assertion) == []


def test_a_rule_applies_only_if_its_condition_holds() -> None:
    assert broken(NO, YES) == ["said"]
    assert broken(NO, NO) == broken(NO, UNKNOWN) == []


def test_the_inputs_count_more_than_the_defaults() -> None:
    assert broken(NO, Stage="prod") == []
    assert broken(UNKNOWN, Open="y") == ["said"]
    assert broken({"Fn::Equals": [{"Ref": "Secret"}, "y"]}, Secret="z") == ["said"]


def test_a_rule_without_a_description_is_named_and_malformed_ones_are_left_out() -> None:
    rules = {"Named": {"Assertions": [{"Assert": NO}, "x"]}, "A": "x", "B": {"Assertions": "x"}}
    written = template_assertions.written(rules)

    assert written
    assert list(template_assertions.broken(written, PARAMETERS, {})) == ["the rule Named"]
    assert template_assertions.written([]) is None
    assert template_assertions.written({"A": "x" * 30_000}) is None
