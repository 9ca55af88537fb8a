"""`slipway login` by a code that a person approves in a browser."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from slipway_cli import contexts
from tests.support.cli.calling import call
from tests.support.cli.scripted import CUT, Request, Scripted, serving

BEGIN, TOKEN, ME = "/api/v1/auth/device", "/api/v1/auth/device/token", "/api/v1/auth/me"
CODES: dict[str, Any] = {
    "device_code": "a-part.a-secret",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://slipway.example.com/console/device",
    "verification_uri_complete": "https://slipway.example.com/console/device?user_code=WDJB-MJHT",
    "expires_in": 600,
    "interval": 5,
}
TOKENS = {
    "access_token": "new",
    "refresh_token": "slr_1",
    "token_type": "bearer",
    "expires_in": 900,
}
GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Platform(Scripted):
    """Answers the requests for tokens with these errors, then with tokens."""

    def __init__(self, *said: str, tokens: Any = TOKENS, faults: tuple[str, ...] = ()) -> None:
        super().__init__(faults=list(faults))
        self.answers[("POST", BEGIN)] = (200, CODES)
        self.answers[("GET", ME)] = (200, {"email": "ann@example.com", "id": "usr_1"})
        self.said = [*said]
        self.tokens = tokens

    def answer(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        if request.path != TOKEN:
            return super().answer(request)
        if self.said:
            error = self.said.pop(0)
            return 400, {"error": error, "code": error, "detail": f"It is {error}."}, {}
        return 200, self.tokens, {}

    def asked(self, path: str) -> list[dict[str, list[str]]]:
        return [parse_qs(each.body) for each in self.requests if each.path == path]


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The pauses; somebody sits at the terminal."""
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.delenv("SLIPWAY_TOKEN")
    yield pauses


def test_a_person_approves_a_code_and_nobody_types_a_password(
    slept: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Platform("authorization_pending", "authorization_pending")) as platform:
        assert call(platform, "login") == 0

    told = capsys.readouterr()
    assert "Open https://slipway.example.com/console/device and type WDJB-MJHT" in told.err
    assert CODES["verification_uri_complete"] in told.err
    assert f"Signed in to {platform.url} as ann@example.com." in told.out
    assert platform.asked(BEGIN) == [{"client_id": ["slipway-cli"]}]
    grant = {"grant_type": [GRANT], "device_code": ["a-part.a-secret"]}
    assert platform.asked(TOKEN) == [{**grant, "client_id": ["slipway-cli"]}] * 3
    assert slept == [5, 5, 5]
    kept = contexts.read_tokens(platform.url)
    assert kept == {"access_token": "new", "refresh_token": "slr_1"}
    assert contexts.listed()[0]["email"] == "ann@example.com"
    # The tokens of the session go to the platform alone, and nowhere into the output.
    assert "slr_1" not in told.out + told.err
    assert "a-secret" not in told.out + told.err


def test_a_platform_that_wants_less_is_asked_less(slept: list[float]) -> None:
    with serving(Platform("slow_down", "authorization_pending", "slow_down")) as platform:
        assert call(platform, "login") == 0

    assert slept == [5, 10, 10, 15]


@pytest.mark.parametrize(
    ("error", "code"), [("access_denied", 3), ("expired_token", 4), ("invalid_grant", 4)]
)
def test_what_is_not_approved_signs_nobody_in(
    error: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Platform("authorization_pending", error)) as platform:
        assert call(platform, "login") == code

    told = capsys.readouterr().err
    assert f"It is {error}. ({error})" in told
    assert f"Next: slipway login {platform.url}" in told
    assert contexts.read_tokens(platform.url) == {}


def test_a_code_that_nobody_approves_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    passed = iter(range(0, 100_000, 100))
    monkeypatch.setattr("slipway_cli.device.time.monotonic", lambda: float(next(passed)))
    with serving(Platform(*["authorization_pending"] * 1000)) as platform:
        assert call(platform, "login") == 4

    assert "Nobody has approved the code in time. (expired_token)" in capsys.readouterr().err


@pytest.mark.parametrize("path", [BEGIN, TOKEN])
def test_a_cut_connection_is_got_over(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Platform("authorization_pending", faults=(CUT,))) as platform:
        assert call(platform, "login") == 0

    assert contexts.read_tokens(platform.url)["access_token"] == "new"


def test_ctrl_c_signs_nobody_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    with serving(Platform()) as platform:
        assert call(platform, "login") == 130

    assert "You are not signed in." in capsys.readouterr().err
    assert contexts.read_tokens(platform.url) == {}


def test_json_is_alone_on_standard_output_and_the_code_is_told_beside(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(Platform()) as platform:
        assert call(platform, "login", "--json") == 0

    told = capsys.readouterr()
    assert json.loads(told.out) == {"url": platform.url, "email": "ann@example.com"}
    assert "WDJB-MJHT" in told.err


def test_the_flag_needs_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    with serving(Platform()) as platform:
        assert call(platform, "login", "--device") == 0


def test_a_session_that_cannot_be_renewed_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Platform(tokens={**TOKENS, "refresh_token": None})) as platform:
        assert call(platform, "login") == 0

    assert "no longer session than 15 minutes" in capsys.readouterr().err
    assert contexts.read_tokens(platform.url) == {"access_token": "new"}


def test_a_code_and_a_password_exclude_each_other() -> None:
    with serving(Platform()) as platform:
        assert call(platform, "login", "--device", "--email", "ann@example.com") == 2

    assert platform.requests == []


def test_the_code_of_a_platform_cannot_move_the_cursor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving(Platform()) as platform:
        platform.answers[("POST", BEGIN)] = (200, {**CODES, "user_code": "\x1b[2JWDJB"})
        assert call(platform, "login") == 0

    assert "\x1b" not in capsys.readouterr().err
