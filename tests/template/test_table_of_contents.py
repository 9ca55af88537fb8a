"""template.yaml is read from top to bottom: it is short, and says each right once."""

from __future__ import annotations

import collections
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.package import load_yaml
from tests.support.repository import ROOT, resources, transformed
from tests.support.roles import BOUNDARIES, POLICIES, ROLES, as_list, named_policies, statements_of

LINES, WIDTH = 750, 120
TEMPLATE = ROOT / "template.yaml"
INCLUDED = [
    path
    for folder in ("alarms", "policies", "throttling")
    for path in sorted((ROOT / folder).iterdir())
]
FUNCTIONS = [role for role in ROLES if "Function" in role]

Right = tuple[str, str, str, str]


def rights(document: Any) -> Iterator[Right]:
    """(effect, action, resource, condition) of every statement of the policy."""
    for statement in statements_of(document):
        for action, resource in itertools.product(
            as_list(statement["Action"]), as_list(statement["Resource"])
        ):
            condition = json.dumps(statement.get("Condition"), sort_keys=True)
            yield (statement["Effect"], action, json.dumps(resource, sort_keys=True), condition)


def written() -> Iterator[tuple[Right, str]]:
    """Every right that functions are given, and where it is written: in a named policy, in a
    function, or in a file, which several functions may include."""
    for name, policy in POLICIES.items():
        if name not in BOUNDARIES:
            yield from ((each, name) for each in rights(policy["Properties"]["PolicyDocument"]))
    functions = load_yaml(TEMPLATE)["Resources"]
    for name, function in resources("AWS::Serverless::Function").items():
        sources = functions[name]["Properties"].get("Policies", [])
        for policy, source in zip(function["Properties"].get("Policies", []), sources, strict=True):
            if "Statement" in policy:
                include = source.get("Fn::Transform", {}).get("Parameters", {})
                place = include.get("Location", name)
                yield from ((each, place) for each in rights(policy))


def test_the_template_is_short_and_its_lines_are_too() -> None:
    lines = TEMPLATE.read_text().splitlines()

    assert len(lines) <= LINES
    assert [n for n, line in enumerate(lines, 1) if len(line) > WIDTH] == []


@pytest.mark.parametrize("path", INCLUDED, ids=lambda path: path.name)
def test_an_included_file_has_short_lines_and_is_included(path: Any) -> None:
    lines = path.read_text().splitlines()

    assert [n for n, line in enumerate(lines, 1) if len(line) > WIDTH] == []
    assert f"Location: {path.parent.name}/{path.name}" in TEMPLATE.read_text()


def test_each_right_of_a_function_is_written_once() -> None:
    places = collections.defaultdict(set)
    for right, place in written():
        places[right].add(place)
    twice = [(right[1], sorted(found)) for right, found in places.items() if len(found) > 1]

    assert len(places) > 400
    assert twice == []


def test_every_named_policy_is_used_and_no_function_has_one_twice() -> None:
    used = [(role, name) for role in FUNCTIONS for name in named_policies(role)]

    assert {name for _, name in used} == POLICIES.keys() - BOUNDARIES
    assert len(used) == len(set(used))


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_no_more_managed_policies_than_iam_attaches(role: str) -> None:
    """Ten, by the quota that an account has without asking; SAM's own count."""
    assert len(ROLES[role]["Properties"].get("ManagedPolicyArns", [])) <= 10


def test_all_alarms_follow_one_pattern() -> None:
    common = {"EvaluationPeriods": 1, "TreatMissingData": "notBreaching"}

    for alarm in transformed("AWS::CloudWatch::Alarm").values():
        properties = alarm["Properties"]
        assert properties.items() >= common.items()
        periods = [each["MetricStat"] for each in properties.get("Metrics", [])[1:]] or [properties]
        assert {each["Period"] for each in periods} == {60}
