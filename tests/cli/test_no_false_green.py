"""The exit code never contradicts the record: each verb, final state and fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slipway_cli.client import Client
from slipway_cli.following import (
    DEPLOYMENT_ENDS,
    ENVIRONMENT_ENDS,
    ENVIRONMENT_RUNS,
    PROMOTION_ENDS,
)
from tests.support.cli.calling import call
from tests.support.cli.scripted import BUSY, CUT, DEPLOYMENT, ENVIRONMENT, Scripted, serving

_ROLLS = ["pending", "running"]
_COMES = ["provisioning"]
_GOES = ["running", "tearing_down"]
# The arguments, the states before the end, and the ends with whether they are what was asked for.
VERBS: dict[str, tuple[list[str], list[str], dict[str, bool]]] = {
    "deploy": (["deploy", ENVIRONMENT, "v1", "--wait"], _ROLLS, DEPLOYMENT_ENDS),
    "watch": (["watch", DEPLOYMENT], _ROLLS, DEPLOYMENT_ENDS),
    "cancel": (
        ["cancel", DEPLOYMENT, "--wait"],
        ["running"],
        {status: status == "canceled" for status in DEPLOYMENT_ENDS},
    ),
    "update": (
        ["envs", "update", ENVIRONMENT, "--input", "Size=large", "--wait"],
        _ROLLS,
        DEPLOYMENT_ENDS,
    ),
    "rollback": (
        ["rollback", ENVIRONMENT, "--reason", "it answers 500", "--wait"],
        _ROLLS,
        DEPLOYMENT_ENDS,
    ),
    "promote": (["promote", ENVIRONMENT, "--to", "env_1_2", "--wait"], ["running"], PROMOTION_ENDS),
    "watch a promotion": (["watch", "pro_1_1"], ["running"], PROMOTION_ENDS),
    "set a variable": (
        ["variables", "set", "A=b", "--env", ENVIRONMENT, "--apply", "--wait"],
        _ROLLS,
        DEPLOYMENT_ENDS,
    ),
    "unset a variable": (
        ["variables", "unset", "A", "--env", ENVIRONMENT, "--apply", "--wait"],
        _ROLLS,
        DEPLOYMENT_ENDS,
    ),
    "copy a secret": (
        ["secrets", "set", "A", "--from", "/x", "--env", ENVIRONMENT, "--apply", "--wait"],
        _ROLLS,
        DEPLOYMENT_ENDS,
    ),
    "unset a secret": (
        ["secrets", "unset", "A", "--yes", "--env", ENVIRONMENT, "--apply", "--wait"],
        _ROLLS,
        DEPLOYMENT_ENDS,
    ),
    "create": (
        ["envs", "create", "staging", "--project", "prj_1", "--wait"],
        _COMES,
        ENVIRONMENT_RUNS,
    ),
    "watch an environment": (["watch", ENVIRONMENT], _COMES, ENVIRONMENT_RUNS),
    "destroy": (
        ["envs", "destroy", ENVIRONMENT, "--yes", "--wait"],
        _GOES,
        ENVIRONMENT_ENDS,
    ),
}
CASES = [
    pytest.param(verb, end, id=f"{verb}: {end}")
    for verb, (_, _, ends) in VERBS.items()
    for end in ends
]
FAULTS = {"none": [], "each answer cut": [CUT], "cut twice, then busy": [CUT, CUT, BUSY]}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize(("verb", "end"), CASES)
def test_the_exit_code_is_that_of_the_final_state(verb: str, end: str, faults: list[str]) -> None:
    arguments, story, ends = VERBS[verb]
    with serving(Scripted([*story, end], faults)) as platform:
        code = call(platform, *arguments)

    assert platform.status == end
    assert code == (0 if ends[end] else 1)
    # However often it was sent, it was made once.
    assert len(platform.made - {""}) <= 1


@pytest.mark.parametrize(("verb", "end"), CASES)
def test_ctrl_c_at_any_request_is_told_apart_from_every_end(
    verb: str, end: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, story, ends = VERBS[verb]
    at, interrupted = 0, True
    while interrupted:
        at += 1
        with serving(Scripted([*story, end])) as platform, monkeypatch.context() as patch:
            count = _interrupting(patch, at)
            code = call(platform, *arguments)
        interrupted = count() >= at
        assert code == (130 if interrupted else 0 if ends[end] else 1)
    assert at > 2
    assert "It goes on without you" in capsys.readouterr().err


def _interrupting(patch: pytest.MonkeyPatch, at: int) -> Callable[[], int]:
    """Press Ctrl-C before the request with this number; returns how many there were."""
    once: Any = Client._once
    made = 0

    def counted(*arguments: Any) -> Any:
        nonlocal made
        made += 1
        if made == at:
            raise KeyboardInterrupt
        return once(*arguments)

    patch.setattr(Client, "_once", counted)
    return lambda: made


def test_a_platform_that_does_not_answer_is_neither_success_nor_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("slipway_cli.client.PATIENCE_SECONDS", 0.0)
    with serving(Scripted()) as platform:
        pass

    assert call(platform, "deploy", ENVIRONMENT, "v1", "--wait") == 5
    assert "does not answer" in capsys.readouterr().err


def test_the_end_of_a_timeout_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Scripted(["pending"])) as platform:
        code = call(platform, "deploy", ENVIRONMENT, "v1", "--wait", "--timeout", "0.2s")

    told = capsys.readouterr().err
    assert code == 5
    assert "has not ended after 0.2 s, and goes on" in told
    assert f"slipway watch {DEPLOYMENT}" in told


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (401, "unauthenticated", 4),
        (403, "forbidden", 3),
        (404, "not_found", 3),
        (409, "queue_busy", 3),
        (422, "invalid_request", 3),
        (500, "internal_error", 5),
    ],
)
def test_a_refusal_has_a_code_of_its_own_and_the_next_command(
    status: int, code: str, expected: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = f"/api/v1/deployments/environments/{ENVIRONMENT}"
    problem = {"detail": "It cannot be.", "code": code, "request_id": "r-1"}
    with serving(Scripted(answers={("POST", path): (status, problem)})) as platform:
        ended = call(platform, "deploy", ENVIRONMENT, "v1", "--wait")

    told = capsys.readouterr().err
    assert ended == expected
    assert "It cannot be." in told
    assert f"({code})" in told
    assert "Next: " in told
