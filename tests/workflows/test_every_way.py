"""Every state was entered and every way out of it taken: by Next, Choice, Default, Catch or End.

conftest.py lets this file run last; it says something only of a run of the whole folder.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.workflows.graph import Execution, definitions, edges

pytestmark = pytest.mark.xdist_group("workflows")


@pytest.fixture
def whole(request: pytest.FixtureRequest) -> None:
    """Only if the whole folder runs."""
    here = {
        node.name
        for path in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    if not here <= {item.name.partition("[")[0] for item in request.session.items}:
        pytest.skip("only a part of tests/workflows runs")


def test_every_state_is_entered_and_every_transition_is_taken(
    whole: None, lived: list[Execution]
) -> None:
    walked = {edge for execution in lived for edge in execution.edges}

    assert set(edges()) - walked == set()
    assert {(edge.workflow, edge.state) for edge in walked} == {
        (workflow, state)
        for workflow, definition in definitions().items()
        for state in definition["States"]
    }


def test_no_execution_that_cleaned_up_is_reported_as_succeeded(
    whole: None, lived: list[Execution]
) -> None:
    cleaned_up = [
        execution
        for execution in lived
        if execution.status != "RUNNING"
        # A rollout that looks again has not failed yet.
        and any(edge.way.startswith("Catch") and edge.target != "Ship" for edge in execution.edges)
        # An execution that loses the race to end an environment has nothing to clean up.
        and execution.states[-1] not in ("Nothing left to do", "End the environment")
    ]

    assert len(cleaned_up) > 30
    assert {execution.status for execution in cleaned_up} == {"FAILED"}
    assert {execution.states[-1] for execution in cleaned_up} == {
        "It failed",
        "It was rolled back",
        "It was taken over",
        "It was canceled",
        "It could not be ended",
        "It could not expire",
        "It was not carried out",
    }
