"""How long an environment lives, which status may follow which, and what is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from slipway.domain.environment import (
    CAN_BECOME,
    GOING,
    TAKES_DEPLOYMENTS,
    Environment,
    Status,
    comes_from,
    warnings,
    workflow_of,
)
from slipway.domain.environment_requests import MAX_CONFIG_BYTES, NewEnvironment
from slipway.errors import Invalid

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
STATES: tuple[Status, ...] = get_args(Status)


def wanted(**fields: Any) -> NewEnvironment:
    return NewEnvironment.model_validate({"name": "preview", "type": "ephemeral"} | fields)


def shown(status: Status, expires_at: datetime | None) -> Environment:
    return Environment.model_validate(
        {
            "id": "env",
            "project_id": "prj",
            "name": "preview",
            "type": "ephemeral",
            "tier": "preview",
            "status": status,
            "expires_at": expires_at,
            "created_at": NOON,
            "created_by": "usr_1",
            "updated_at": NOON,
            "execution_arn": "arn",
            "version": 1,
        }
    )


# --- how long it lives ----------------------------------------------------------------------


@pytest.mark.parametrize("hours", [0.002, 0.5, 1, 24, 719.999, 720])
def test_an_ephemeral_environment_lives_for_ttl_hours(hours: float) -> None:
    assert wanted(ttl_hours=hours).lifetime_hours(at_most=720) == hours


def test_an_ephemeral_environment_lives_a_day_by_default() -> None:
    assert wanted().lifetime_hours(at_most=720) == 24
    assert wanted(ttl_hours=None).lifetime_hours(at_most=720) == 24


def test_a_policy_that_allows_less_shortens_the_default() -> None:
    assert wanted().lifetime_hours(at_most=8) == 8


def test_a_persistent_environment_has_no_end() -> None:
    assert wanted(type="persistent").lifetime_hours(at_most=720) is None
    assert wanted(type="persistent", ttl_hours=None).lifetime_hours(at_most=720) is None


def test_whole_hours_are_shown_as_whole_numbers() -> None:
    assert repr(wanted(ttl_hours=24.0).lifetime_hours(at_most=720)) == "24"
    assert repr(wanted(ttl_hours=0.5).lifetime_hours(at_most=720)) == "0.5"


@pytest.mark.parametrize("hours", [720.001, 1e9, 1e308])
def test_more_hours_than_the_policy_allows_are_refused_by_name(hours: float) -> None:
    with pytest.raises(Invalid) as refused:
        wanted(ttl_hours=hours).lifetime_hours(at_most=720)

    assert refused.value.fields[0].pointer == "#/ttl_hours"
    assert refused.value.fields[0].detail == "must be at most 720"


NO_HOURS = {
    "zero": 0,
    "minus zero": -0.0,
    "negative": -1,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "a number beyond every float": 10**400,
    "text": "24",
    "a truth": True,
    "a list": [24],
    "less than the table can hold": 1e-200,
    "the smallest float there is": 5e-324,
}


@pytest.mark.parametrize("hours", NO_HOURS.values(), ids=NO_HOURS.keys())
def test_a_malformed_number_of_hours_is_refused(hours: object) -> None:
    with pytest.raises(ValidationError):
        wanted(ttl_hours=hours)


def test_ttl_hours_of_a_persistent_environment_are_refused() -> None:
    with pytest.raises(ValidationError, match="only allowed for ephemeral"):
        wanted(type="persistent", ttl_hours=24)


# --- its configuration ----------------------------------------------------------------------


def test_a_configuration_is_kept_as_compact_text() -> None:
    config = {"region": "eu", "sizes": [1, 2.5, None, True], "ü": {"x": {}}}

    assert wanted(config=config).config_json() == (
        '{"region":"eu","sizes":[1,2.5,null,true],"ü":{"x":{}}}'
    )
    assert wanted(config={}).config_json() == "{}"
    assert wanted().config_json() is None


def test_the_size_of_a_configuration_is_counted_in_bytes() -> None:
    around = len('{"k":""}')
    largest = "ü" * ((MAX_CONFIG_BYTES - around) // 2)

    assert wanted(config={"k": largest}).config_json()
    with pytest.raises(Invalid) as refused:
        wanted(config={"k": largest + "ü"}).config_json()
    assert refused.value.fields[0].pointer == "#/config"


@pytest.mark.parametrize("config", ['{"x":1e400}', '{"x":[-1e999]}'])
def test_a_number_that_json_cannot_represent_is_refused(config: str) -> None:
    body = f'{{"name":"a","type":"ephemeral","config":{config}}}'

    with pytest.raises((Invalid, ValidationError)):
        NewEnvironment.model_validate_json(body).config_json()


@pytest.mark.parametrize("config", [[], "x", 1, True], ids=repr)
def test_a_configuration_that_is_not_an_object_is_refused(config: object) -> None:
    with pytest.raises(ValidationError):
        wanted(config=config)


# --- what it may become ---------------------------------------------------------------------


def test_every_state_has_its_line_in_the_table() -> None:
    assert set(CAN_BECOME) == set(STATES)
    assert {state for targets in CAN_BECOME.values() for state in targets} <= set(STATES)


def test_an_environment_that_goes_never_returns() -> None:
    alive = {"provisioning", "running", "failed"}

    for state in ("expiring", "tearing_down", "destroyed", "teardown_failed"):
        assert not CAN_BECOME[state] & alive


def test_a_destroyed_environment_stays_destroyed() -> None:
    assert CAN_BECOME["destroyed"] == frozenset()


def test_every_state_can_be_reached_and_every_other_can_end() -> None:
    assert {state for state in STATES if not comes_from(state)} == {"provisioning"}
    for start in STATES:
        reached, border = {start}, [start]
        while border:
            fresh = CAN_BECOME[border.pop()] - reached
            reached |= fresh
            border += fresh
        assert "destroyed" in reached


@given(st.sampled_from(STATES), st.sampled_from(STATES))
def test_comes_from_is_the_inverse_of_the_table(before: Status, after: Status) -> None:
    assert (before in comes_from(after)) == (after in CAN_BECOME[before])


def test_an_environment_that_goes_takes_no_deployments() -> None:
    assert not TAKES_DEPLOYMENTS & GOING
    assert frozenset({"provisioning", "running"}) == TAKES_DEPLOYMENTS


def test_every_state_belongs_to_a_workflow() -> None:
    retired = {state for state in STATES if workflow_of(state) == "retire_environment"}

    assert retired == {"tearing_down", "destroyed", "teardown_failed"}
    assert {workflow_of(state) for state in STATES} == {
        "retire_environment",
        "provision_environment",
    }


# --- what is shown --------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["provisioning", "running", "failed"])
def test_an_overdue_environment_is_never_shown_as_living(status: Status) -> None:
    environment = shown(status, expires_at=NOON)

    assert environment.as_seen_at(NOON).status == "expiring"
    assert environment.as_seen_at(NOON + timedelta(days=2)).status == "expiring"
    assert environment.as_seen_at(NOON - timedelta(milliseconds=1)).status == status


@pytest.mark.parametrize("status", ["expiring", "tearing_down", "destroyed", "teardown_failed"])
def test_an_environment_that_goes_is_shown_with_its_status(status: Status) -> None:
    assert shown(status, expires_at=NOON).as_seen_at(NOON).status == status


@pytest.mark.parametrize("status", STATES)
def test_an_environment_without_an_end_is_never_overdue(status: Status) -> None:
    assert shown(status, expires_at=None).as_seen_at(datetime.max.replace(tzinfo=UTC)).status == (
        status
    )


# --- when its end is warned of --------------------------------------------------------------


def test_warnings_come_in_order_of_time() -> None:
    found = warnings(NOON + 72 * HOUR, [0.5, 48, 2], NOON)

    assert found == [NOON + 24 * HOUR, NOON + 70 * HOUR, NOON + 71.5 * HOUR]


@pytest.mark.parametrize("hours", [24, 24.1, 8760])
def test_a_warning_whose_time_has_passed_is_left_out(hours: float) -> None:
    assert warnings(NOON + 24 * HOUR, [hours, 1], NOON) == [NOON + 23 * HOUR]


def test_two_warnings_of_one_millisecond_are_one() -> None:
    assert len(warnings(NOON + 24 * HOUR, [1, 1.00000001], NOON)) == 1


@given(
    lives=st.floats(0.001, 8760),
    before=st.lists(st.floats(1e-6, 8760), max_size=5),
)
def test_every_warning_comes_before_the_end_and_is_still_to_come(
    lives: float, before: list[float]
) -> None:
    ends = NOON + timedelta(hours=lives)

    found = warnings(ends, before, NOON)

    assert found == sorted(set(found))
    assert all(NOON < moment < ends for moment in found)
    assert len(found) <= len(before)


def test_an_overdue_environment_has_no_more_warnings() -> None:
    seen = shown("running", NOON).model_copy(update={"next_warning_at": NOON})

    assert seen.as_seen_at(NOON - HOUR).next_warning_at == NOON
    assert seen.as_seen_at(NOON).next_warning_at is None
