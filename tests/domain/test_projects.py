"""The policy of a project."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from slipway.domain.project import Policy


def policy(**fields: Any) -> Policy:
    return Policy.model_validate_json(json.dumps(fields))


def test_an_empty_policy_has_no_warnings() -> None:
    assert policy().warn_before_hours == []


@pytest.mark.parametrize("hours", [[], [48], [48, 2, 0.5], [0.001], [8760], [5, 4, 3, 2, 1]])
def test_a_policy_sets_the_warnings_before_an_end(hours: list[float]) -> None:
    assert policy(warn_before_hours=hours).warn_before_hours == hours


@pytest.mark.parametrize(
    "hours", [[1, 1], [1, 1.0], [0], [-1], [1e-9], [8761], [1e308], ["1"], [True], [None], 1, None]
)
def test_a_warning_that_breaks_a_rule_is_refused(hours: Any) -> None:
    with pytest.raises(ValidationError):
        policy(warn_before_hours=hours)


def test_a_policy_has_at_most_five_warnings() -> None:
    with pytest.raises(ValidationError):
        policy(warn_before_hours=[1, 2, 3, 4, 5, 6])
