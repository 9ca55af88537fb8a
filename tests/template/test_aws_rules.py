"""Definitions have nothing that Step Functions or DynamoDB refuse, or that would end an
execution."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonata
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.asl import INTEGRATION, handlers, keys, states, strings, tasks
from tests.support.repository import MACHINES, ROOT, machine, short

every_machine = pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.name)

SDK = "aws-sdk:dynamodb:"
# DynamoDB's names of kinds that an SDK integration names differently (Nul, Bool, Ss, Ns, Bs).
OTHER_KINDS = {"NULL", "BOOL", "SS", "NS", "BS"}
# Both are in "Handling errors in Step Functions workflows": nothing catches the first, and
# States.ALL does not catch the second. An expression that fails in a Catch is not caught either.
REPORTS = {
    "error": "'' & $states.errorOutput.Error",
    "cause": "$substring('' & $states.errorOutput.Cause, 0, 8000)",
    "step": "$states.context.State.Name",
}
CANNOT_FAIL = {
    *REPORTS.values(),
    "$states.context.State.EnteredTime",
    "$exists($refusals) ? $refusals + 1 : 1",
}
# JSONata's own and those that Step Functions adds; it has no $eval.
FUNCTIONS = {
    *("append", "each", "exists", "hash", "join", "keys", "lookup", "merge", "not", "number"),
    *("string", "substring", "ceil", "min", "toMillis"),
}
TOKEN = (
    "$substring($hash($states.context.Execution.Id & $states.context.State.Name"
    " & $states.context.State.EnteredTime, 'SHA-256'), 0, 36)"
)


def expressions(value: Any) -> Iterator[str]:
    for text in strings(value):
        if text.startswith("{%"):
            yield " ".join(text[2:-2].split())


def of_catches(path: Path) -> Iterator[str]:
    for _, catch in handlers(path, "Catch"):
        yield from expressions([catch.get("Assign"), catch.get("Output")])


@every_machine
def test_expressions_in_a_catch_cannot_fail(path: Path) -> None:
    assert set(of_catches(path)) <= CANNOT_FAIL


@every_machine
def test_no_definition_parses_an_error(path: Path) -> None:
    # It is decoded where it is read, by slipway.domain.failure.
    assert not [text for text in expressions(machine(path)) if "$parse" in text]


@every_machine
def test_a_catch_keeps_the_reported_error(path: Path) -> None:
    for name, catch in handlers(path, "Catch"):
        for told in ("failure", "recovery"):
            if report := catch.get("Assign", {}).get(told):
                assert {
                    field: " ".join(text[2:-2].split()) for field, text in report.items()
                } == REPORTS, name


_ANY = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_TEXTS = st.text(max_size=50) | st.sampled_from(["", "{", '"errorMessage"', "x" * 32_768])


@given(
    st.fixed_dictionaries({}, optional={"Error": _TEXTS | _ANY, "Cause": _TEXTS | _ANY}),
    st.sampled_from([REPORTS["error"], REPORTS["cause"]]),
)
def test_any_reported_error_becomes_a_bounded_text(
    reported: dict[str, Any], expression: str
) -> None:
    made = jsonata.Jsonata(expression).evaluate(None, {"states": {"errorOutput": reported}})

    assert isinstance(made, str)
    if expression == REPORTS["cause"]:
        assert len(made) <= 8000


@every_machine
def test_expressions_use_only_functions_that_step_functions_has(path: Path) -> None:
    used = {name for text in expressions(machine(path)) for name in re.findall(r"\$(\w+)\(", text)}

    assert used <= FUNCTIONS


@every_machine
def test_sdk_integrations_receive_no_type_that_they_name_differently(path: Path) -> None:
    for name, state in tasks(path, SDK).items():
        assert not OTHER_KINDS & set(keys(state["Arguments"])), name
        # The same holds for expressions and for the input from dispatch.
        for text in expressions(state["Arguments"]):
            assert not re.search(rf"\b({'|'.join(OTHER_KINDS)})\b", text), name


@every_machine
def test_a_transactions_token_changes_with_its_content(path: Path) -> None:
    """It contains the moment at which the state was entered, which a retry does not change: the
    history of one has no second TaskStateEntered (LocalStack's test_error_output.snapshot.json,
    test_task_catch_error_with_retry)."""
    for name, state in tasks(path, f"{SDK}transactWriteItems").items():
        [token] = expressions(state["Arguments"]["ClientRequestToken"])
        assert token == TOKEN, name
        # All else that it writes is fixed while the execution stays in the state.
        assert "$now" not in str(state["Arguments"]) and "RetryCount" not in str(state["Arguments"])


@every_machine
def test_an_error_of_dynamodb_has_the_prefix_of_its_integration(path: Path) -> None:
    # "Exception prefix differences" in "Call DynamoDB APIs with Step Functions"; LocalStack's
    # test_aws_sdk.snapshot.json and test_task_service_dynamodb.snapshot.json.
    for kind in ("Retry", "Catch"):
        for name, handler in handlers(path, kind):
            resource = states(path)[name]["Resource"].removeprefix(INTEGRATION)
            allowed = {SDK: "DynamoDb.", "dynamodb:": "DynamoDB."}
            prefix = next((p for at, p in allowed.items() if resource.startswith(at)), "")
            for error in handler["ErrorEquals"]:
                if error.lower().startswith("dynamodb."):
                    assert prefix and error.startswith(prefix), f"{name}: {error}"


@every_machine
def test_states_all_stands_alone_and_last(path: Path) -> None:
    for state in states(path).values():
        for kind in ("Retry", "Catch"):
            errors = [handler["ErrorEquals"] for handler in state.get(kind, [])]
            for each in errors:
                assert "States.ALL" not in each or each == ["States.ALL"]
            assert ["States.ALL"] not in errors[:-1]


@every_machine
def test_a_definition_is_not_too_large(path: Path) -> None:
    assert len(json.dumps(machine(path))) < 1_000_000


def test_no_partition_is_written_out() -> None:
    # Only the console's host has to be chosen by the partition, and its table is excepted.
    written = re.compile(r"arn:aws|\baws-(cn|us-gov|iso)\b(?!\": \"console\.)")
    files = [ROOT / "template.yaml", *MACHINES]
    files += [
        path
        for folder in ("layers/core/slipway", "functions")
        for path in (ROOT / folder).rglob("*.py")
    ]

    found = [
        f"{short(path)}:{n}: {line.strip()}"
        for path in files
        for n, line in enumerate(path.read_text().splitlines(), 1)
        if written.search(line)
    ]
    assert found == []
    assert len(files) > 60
