"""Throttles and the audit see the address of the person, not that of the console."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from slipway.domain import forwarded
from tests.support.api.client import Client
from tests.support.api.people import PASSWORD, signed_in
from tests.support.console import Browser, Handlers, texts

LOGIN, SECRET = "/api/v1/auth/login", b"s" * 64
ADDRESS = "198.51.100.9"


def test_a_guesser_in_the_console_locks_nobody_else_out(reached: Handlers) -> None:
    signed_in("ann@example.com")
    thief, ann = Browser(source=ADDRESS), Browser(source="2001:db8::7")
    guess = {"username": "ann@example.com", "password": "wrong-one-1"}

    answers = [thief.post("/console/sign-in", guess) for _ in range(6)]

    assert answers[-1].status == 429
    assert "too_many_attempts" in texts(answers[-1].text)
    assert ann.post("/console/sign-in", {**guess, "password": PASSWORD}).status == 303


def test_the_audit_has_the_address_of_the_person(ann: Browser) -> None:
    ann.source = ADDRESS
    made = ann.submit("/console", "/console/projects", {"name": "payments"})
    project = made.headers["location"].partition("?")[0].rpartition("/")[2]

    entries = Client(ann.session.access).get(f"/api/v1/projects/{project}/audit").json

    assert entries and {each["address"] for each in entries} == {ADDRESS}


# Made when the test runs: a header holds for a minute.
FORGED: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "an address alone": lambda: ADDRESS,
    "no signature": lambda: f"{int(time.time())} {ADDRESS} {'A' * 43}",
    "another key": lambda: forwarded.signed(b"x" * 64, ADDRESS, "POST", time.time()),
    "another method": lambda: forwarded.signed(b"t" * 64, ADDRESS, "DELETE", time.time()),
    "too old": lambda: forwarded.signed(b"t" * 64, ADDRESS, "POST", time.time() - 100_000),
}


@pytest.mark.parametrize("forgery", FORGED)
def test_an_address_that_the_console_did_not_sign_is_ignored(
    reached: Handlers, forgery: str
) -> None:
    header = FORGED[forgery]()
    signed_in("ann@example.com")
    guess = {"username": "ann@example.com", "password": "wrong-one-1"}
    real = Client(source="203.0.113.99")
    for _ in range(6):
        real.post(LOGIN, guess)

    caller = real.with_headers(x_slipway_client=header)

    assert caller.post(LOGIN, {**guess, "password": PASSWORD}).status == 429


def test_a_header_holds_for_its_address_method_and_minute() -> None:
    now = 1_796_547_883.0
    made = forwarded.signed(SECRET, ADDRESS, "POST", now)

    assert forwarded.address_of(SECRET, made, "POST", now + 59) == ADDRESS
    assert forwarded.address_of(SECRET, made, "POST", now + 61) is None
    assert forwarded.address_of(SECRET, made, "PUT", now) is None
    assert forwarded.address_of(SECRET, made.replace(".9 ", ".8 "), "POST", now) is None
    assert forwarded.address_of(b"other", made, "POST", now) is None
