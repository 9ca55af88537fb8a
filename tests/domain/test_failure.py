"""A reported error becomes a reason that people can read, whatever its text is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.domain import failure
from slipway.domain.environment import Failure

# As AWS answered: LocalStack's test_task_lambda.snapshot.json (test_raise_custom_exception),
# test_task_service_lambda.snapshot.json (test_raise_exception_catch), test_aws_sdk.snapshot.json
# (test_dynamodb_invalid_param) and test_task_service_lambda (test_invoke_timeout).
RAISED = (
    '{"errorMessage":"Some exception was raised.","errorType":"Exception","requestId":"<uuid:1>",'
    '"stackTrace":["  File \\"/var/task/handler.py\\", line 2, in handler\\n"]}'
)
RAISED_WITHOUT_MESSAGE = '{"errorMessage": "", "errorType": "CustomException", "requestId": "1"}'
INVALID = (
    "1 validation error detected: Value null at 'item' failed to satisfy constraint: Member must "
    "not be null (Service: DynamoDb, Status Code: 400, Request ID: <request_id>)"
)
# A function that timed out: not recorded, but quoted in many places.
UNKNOWN = (
    "The cause could not be determined because Lambda did not return an error type. "
    'Returned payload: {"errorMessage":"2026-11-28 Task timed out after 3.00 seconds"}'
)


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (RAISED, "Some exception was raised."),
        (RAISED_WITHOUT_MESSAGE, failure.NO_REASON),
        (INVALID, INVALID),
        (UNKNOWN, "2026-11-28 Task timed out after 3.00 seconds"),
        ("", failure.NO_REASON),
        (" \n", failure.NO_REASON),
        ("No room", "No room"),
        ('{"errorMessage": null}', failure.NO_REASON),
        ('{"errorMessage": 7}', "7"),
        ('{"errorMessage": {"why": "ä"}}', '{"why": "ä"}'),
        ('{"errorMessage": ["a", 1e999]}', '["a", Infinity]'),
        ('{"cause": {"errorMessage": "inner"}, "errorMessage": "outer"}', "outer"),
        ('{"cause": {"errorMessage": "inner"}}', "inner"),
        ('{"other": "message"}', '{"other": "message"}'),
        ('["errorMessage"]', '["errorMessage"]'),
        ("null", "null"),
        ('{a} failed: {"errorMessage": "b"}', "b"),
        ('{"errorMessage": "two\nlines"}', "two\nlines"),
        ('{"errorMessage": "cut off in the mid', "cut off in the mid"),
        ('{"errorMessage": "cut \\"off\\" \\u00e4\\n\\', 'cut "off" ä'),
        ('{"errorMessage": "cut \\u00', "cut"),
        ('{"errorMessage": "\\ud83d\\ude00"}', "😀"),
        ('{"errorMessage": "\\ud83d\\ude00 \\ud83d', "😀 \N{REPLACEMENT CHARACTER}"),
        ('{"errorMessage": ' + "[" * 9000, '{"errorMessage": ' + "[" * 9000),
        ('{"errorMessage": ' + "9" * 5000 + "}", '{"errorMessage": ' + "9" * 5000 + "}"),
        ('{"errorMessage":', '{"errorMessage":'),
        ("\ud83d", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_the_reason_is_the_message_in_the_cause(cause: str, reason: str) -> None:
    assert failure.reason_of(cause) == reason


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
_OBJECTS = st.dictionaries(st.sampled_from(["errorMessage", "errorType", "x"]), _JSON)
# This includes halves of surrogate pairs, which `st.text()` leaves out by default.
_ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=200)


@st.composite
def causes(draw: st.DrawFn) -> str:
    """Sentences, JSON, both, cut off anywhere, or as long as Step Functions keeps them."""
    made: Any = draw(_OBJECTS | _JSON)
    text = draw(_ANY_TEXT) + draw(st.sampled_from(["", json.dumps(made), '{"errorMessage":"']))
    text += draw(_ANY_TEXT)
    if draw(st.booleans()):
        text = text[: draw(st.integers(0, len(text)))]
    if draw(st.integers(0, 9)) == 0:
        text = (text * 32_768)[:32_768]
    return text


@given(causes())
def test_every_text_has_a_reason_that_can_be_written_and_shown(cause: str) -> None:
    reason = failure.reason_of(cause)

    assert reason.strip()
    assert json.loads(json.dumps(reason).encode()) == reason
    assert reason.encode().decode() == reason


@given(st.text(min_size=1, max_size=50).map(str.strip).filter(bool), st.integers(0, 400))
def test_a_message_before_a_cut_is_complete(message: str, more: int) -> None:
    cause = json.dumps({"errorMessage": message, "errorType": "X", "stackTrace": ["x" * 400]})
    end = cause.index('"errorType"') + more

    assert failure.reason_of(cause[:end]) == message


@given(st.text(min_size=1, max_size=50), st.integers(1, 200))
def test_a_message_that_is_cut_off_is_shown_up_to_the_cut(message: str, end: int) -> None:
    start = len('{"errorMessage": "')
    cause = json.dumps({"errorMessage": message})

    shown = failure.reason_of(cause[: start + end])

    whole = message.strip() or failure.NO_REASON
    assert whole.startswith(shown.rstrip("\N{REPLACEMENT CHARACTER}")) or shown == failure.NO_REASON


def reported(error: str, cause: str, step: str) -> dict[str, str]:
    return {"error": error, "cause": cause, "step": step}


NOTHING = reported("", "", "")
FIRST = reported("DriverRefused", '{"errorMessage": "No such image"}', "Ship")


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        # As Slipway's Python code writes it, and as the state machines did once.
        ({"error": "Superseded", "reason": "v2"}, {"error": "Superseded", "reason": "v2"}),
        (
            {"error": "X", "reason": "", "step": "Ship"},
            {"error": "X", "reason": "", "step": "Ship"},
        ),
        (FIRST, {"error": "DriverRefused", "reason": "No such image", "step": "Ship"}),
        (
            {**FIRST, "recovery": NOTHING},
            {"error": "DriverRefused", "reason": "No such image", "step": "Ship"},
        ),
        (
            {**FIRST, "recovery": reported("Lambda.Unknown", "It is gone", "Restore")},
            {
                "error": "DriverRefused",
                "reason": "No such image; and what was there before could not be put back: "
                "It is gone",
                "step": "Ship",
            },
        ),
        (
            {**FIRST, "recovery": reported("StackGone", '{"errorMessage": "gone"}', "Restore")},
            {
                "error": "StackGone",
                "reason": "No such image; and there was nothing to go back to: gone",
                "step": "Restore",
            },
        ),
        (
            {**FIRST, "recovery": reported("States.Timeout", "", "Remove what was made")},
            {
                "error": "DriverRefused",
                "reason": "No such image; and what was made could not be taken back: "
                "States.Timeout",
                "step": "Ship",
            },
        ),
        (
            {"error": "X", "reason": "x", "remaining_resources": ["a"]},
            {"error": "X", "reason": "x", "remaining_resources": ["a"]},
        ),
        ({}, {"error": "Unknown", "reason": failure.NO_REASON}),
    ],
)
def test_a_record_shows_the_failure_and_the_failure_of_the_rollback(
    stored: dict[str, Any], shown: dict[str, str]
) -> None:
    assert failure.decode(stored) == shown
    assert Failure.model_validate(failure.decode(stored)).reason == shown["reason"]
    assert failure.summary(stored) == f"{shown['error']}: {shown['reason']}"


@given(
    st.dictionaries(
        st.sampled_from(["error", "cause", "step", "recovery"]),
        causes() | st.dictionaries(st.sampled_from(["error", "cause", "step"]), causes()),
    )
)
def test_any_recorded_failure_can_be_shown(stored: dict[str, Any]) -> None:
    if isinstance(stored.get("recovery"), str):
        del stored["recovery"]

    shown = failure.decode(stored)

    assert Failure.model_validate(shown).model_dump_json()


def test_what_a_state_machine_may_not_do_is_told_without_its_role_and_the_table() -> None:
    cause = (
        "User: arn:aws:sts::123456789012:assumed-role/slipway-RollOutRole-1AB/xyz is not authorized"
        " to perform: dynamodb:UpdateItem on resource: arn:aws:dynamodb:eu-central-1:123456789012:"
        "table/slipway-Table-1AB because no identity-based policy allows it"
    )

    shown = failure.decode({"error": "DynamoDb.DynamoDbException", "cause": cause, "step": "Begin"})

    assert shown["reason"] == (
        "The role is not authorized to perform: dynamodb:UpdateItem on resource: a resource of the"
        " platform because no identity-based policy allows it"
    )


def test_a_resource_of_an_environment_stays_in_the_reason() -> None:
    arn = "arn:aws:lambda:eu-central-1:123456789012:function:slipway-env-0123-Web"

    shown = failure.decode({"error": "RolledBack", "cause": f"on resource: {arn}", "step": "Ship"})

    assert shown["reason"] == f"on resource: {arn.replace('123456789012', '****')}"
