"""Every write that is an event records its change: in the state machines, and in Python."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from slipway.domain import confirmation, deployment, environment
from slipway.domain.events import Action, DerivedAction
from tests.support.asl import states
from tests.support.repository import MACHINES, ROOT

ENTERED = "{% $states.context.State.EnteredTime %}"
# "It is live" is given its action by Ship, from environment_records.after_rollout.
FROM_SHIP = {"deployed", "updated"}
SOURCES = [
    path
    for folder in ("layers/core/slipway", "functions")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.name != "events.py"
]


def updates(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The updates of records in a state machine, each with the name of its state."""
    for name, state in states(path).items():
        arguments = state.get("Arguments", {})
        if "UpdateExpression" in arguments:
            yield name, arguments
        for action in arguments.get("TransactItems", ()):
            if "Update" in action:
                yield name, action["Update"]


def is_event(update: dict[str, Any]) -> bool:
    return "SET #status" in update["UpdateExpression"] or "version" in update["UpdateExpression"]


def recorded(path: Path) -> Iterator[tuple[str, str]]:
    """`(state, action)` of each change that the state machine records."""
    for name, update in updates(path):
        values = update["ExpressionAttributeValues"]
        if not isinstance(values, str) and ":change" in values:
            yield name, values[":change"]["M"]["action"]["S"]


def test_each_write_of_a_state_machine_records_its_change() -> None:
    told = [
        (path.name, name, "change = :change" in update["UpdateExpression"])
        for path in MACHINES
        for name, update in updates(path)
        if is_event(update)
    ]

    assert len(told) >= 13
    assert [each for each in told if not each[2]] == []


def test_a_state_machines_change_has_only_texts_and_the_states_time() -> None:
    for path in MACHINES:
        for name, update in updates(path):
            values = update["ExpressionAttributeValues"]
            if isinstance(values, str):
                assert ":change': {'M':" in values, name
                continue
            if change := values.get(":change"):
                assert set(change) == {"M"}, name
                assert {kind for each in change["M"].values() for kind in each} == {"S"}, name
                assert change["M"]["at"]["S"] == ENTERED, name
                assert {"action", "actor", "at"} <= set(change["M"]), name


def test_a_state_machine_records_only_known_actions() -> None:
    ends = {"failed", "rolled_back", "canceled"}
    found = {action for path in MACHINES for _, action in recorded(path)}
    by_end = {each for each in found if "$end" in each}

    assert by_end == {"{% 'deployment_' & $end %}"}
    actions = (found - by_end) | {f"deployment_{end}" for end in ends}
    assert actions <= {*get_args(Action), *get_args(confirmation.Change)}
    [machine] = [path for path in MACHINES if path.name.startswith("roll_out")]
    assert set(re.findall(r"end: (\w+)$", machine.read_text(), re.MULTILINE)) == ends


def test_every_status_is_an_action() -> None:
    actions = set(get_args(Action))

    assert set(get_args(environment.Status)) <= actions
    assert {f"deployment_{status}" for status in get_args(deployment.Status)} <= actions
    assert not actions & set(get_args(DerivedAction))


def test_every_action_has_a_writer() -> None:
    in_machines = {action for path in MACHINES for _, action in recorded(path)}
    in_python = {
        node.value
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    unused = {
        action
        for action in get_args(Action)
        if action not in in_machines | in_python and not action.startswith("deployment_")
    }
    assert unused == set()
    assert in_python >= FROM_SHIP


def test_every_versioned_write_in_python_records_its_change() -> None:
    """This holds for environments; `projects` and `templates` have versions without events."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Dict):
                names = {key.value for key in node.keys if isinstance(key, ast.Constant)}
                if "version" in names and "updated_at" in names and "change" not in names:
                    found.append(path.name)
            elif isinstance(node, ast.Constant):
                text = str(node.value)
                if "version = version" in text and "change = :change" not in text:
                    found.append(path.name)

    of_templates = {f"{name}.py" for name in ("templates", "template_changes", "template_drafts")}
    others = {"projects.py", "project_records.py", "template_records.py", *of_templates}
    assert set(found) <= others
