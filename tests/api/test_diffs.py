"""How two environments differ, as callers see it."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.domain import configuration
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.drivers import stacks
from slipway.store import configuration_records, environment_records, table
from slipway.store.table import Transaction, Update
from tests.support.api.client import Client
from tests.support.api.people import joins
from tests.support.store import world

SECRET = {"secret_inputs": ["Password"], "inputs": '{"Size":"small","Zone":"a"}'}
OTHER = {"secret_inputs": ["Password"], "inputs": '{"Size":"large","Zone":"a"}'}


def has(environment: EnvironmentId, **fields: Any) -> None:
    table.write(Update(environment_records.key(environment), *table.setting(fields)))


def configured(environment: EnvironmentId, values: dict[str, str], place: str) -> None:
    """Give it these variables, and a secret."""
    made: dict[str, Any] = {"at": "2026-11-23T01:02:03.456Z", "by": {"id": "usr_1", "kind": "user"}}
    before = configuration.empty()
    after: Any = {
        **before,
        "version": 1,
        "variables": {name: {"value": value, **made} for name, value in values.items()},
        "secrets": {"PASSWORD": {"version": 1, "place": place, **made}},
    }
    Transaction(configuration_records.written(environment, before, after)).commit()


@pytest.fixture
def other(ann: Client, project: ProjectId) -> EnvironmentId:
    made = world.environment(project, ann.principal, "other")
    world.comes_up(made)
    return made


def compared(client: Client, a: EnvironmentId, b: EnvironmentId) -> Any:
    return client.get(f"/api/v1/environments/{a}/diff/{b}")


def test_one_differs_from_itself_in_nothing(ann: Client, environment: EnvironmentId) -> None:
    answer = compared(ann, environment, environment)

    assert answer.status == 200
    told = answer.json
    assert told["a"] == told["b"]
    assert [told[name] for name in ("differs", "inputs", "variables", "resources")] == [
        *([], {}, {}, {}),
    ]


def test_what_is_live_and_the_inputs_are_compared(
    ann: Client, environment: EnvironmentId, other: EnvironmentId
) -> None:
    live = {"live_version": "v1", "live_deployment_id": "dep_1", "template": "web@1.0"}
    has(environment, **live, **SECRET)
    has(other, **{**live, "live_version": "v2"}, **OTHER, live_in_doubt="dep_2")

    told = compared(ann, environment, other).json

    assert (told["a"]["version"], told["b"]["version"]) == ("v1", "v2")
    assert (told["a"]["in_doubt"], told["b"]["in_doubt"]) == (False, True)
    assert told["differs"] == ["version", "inputs"]
    assert told["inputs"] == {
        "Password": {"a": "****", "b": "****", "differs": None},
        "Size": {"a": "small", "b": "large", "differs": True},
    }


def test_variables_are_compared_by_name_and_no_value_is_told(
    ann: Client, environment: EnvironmentId, other: EnvironmentId
) -> None:
    configured(environment, {"SAME": "abc-1", "LEVEL": "debug-1", "OWN": "only-1"}, "own/1")
    configured(other, {"SAME": "abc-1", "LEVEL": "info-1"}, "own/2")

    answer = compared(ann, environment, other)

    assert answer.json["variables"] == {
        "LEVEL": {"a": "variable", "b": "variable", "differs": True},
        "OWN": {"a": "variable", "b": None, "differs": True},
        "PASSWORD": {"a": "secret", "b": "secret", "differs": None},
    }
    assert not [each for each in ("abc-1", "debug-1", "info-1", "only-1") if each in answer.text]


def test_resources_and_drift_are_those_of_the_stacks(
    ann: Client, environment: EnvironmentId, other: EnvironmentId, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in (environment, other):
        has(each, driver="cloudformation")
    drifts = {str(environment): "DRIFTED", str(other): "IN_SYNC"}
    more = {str(environment): ["Jobs"], str(other): ["Jobs", "Table"]}
    monkeypatch.setattr(
        stacks, "find", lambda e: {"DriftInformation": {"StackDriftStatus": drifts[e]}}
    )
    monkeypatch.setattr(
        stacks,
        "resources",
        lambda e: [{"logical_id": name, "type": f"AWS::{name}"} for name in more[e]],
    )

    told = compared(ann, environment, other).json

    assert (told["a"]["drift"], told["b"]["drift"]) == ("drifted", "in_sync")
    assert told["resources"] == {"Table": {"a": None, "b": "AWS::Table"}}
    assert told["differs"] == ["resources"]


def test_both_have_to_be_readable(
    ann: Client, bob: Client, project: ProjectId, environment: EnvironmentId
) -> None:
    theirs = world.environment(world.project(bob.principal, "secrets"), bob.principal, "theirs")

    assert compared(ann, environment, theirs).status == 404
    assert compared(ann, theirs, environment).status == 404
    assert compared(bob, environment, theirs).status == 404
    joins(project, bob, "viewer")
    assert compared(bob, environment, theirs).status == 200
    malformed = f"/api/v1/environments/{environment}/diff/env_1"
    assert ann.get(malformed).status == 404
