"""On the laptop, too, guesses and registrations are throttled by the address of the connection."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.platform import Platform
from tests.support.http_user import Person

pytestmark = pytest.mark.xdist_group("e2e")

LOGIN, REGISTER = "/api/v1/auth/login", "/api/v1/auth/register"


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform() as started:
        yield started


def test_of_fifty_guesses_at_once_only_a_few_are_tried(platform: Platform) -> None:
    ann = Person(platform.url).sign_in()
    form = {"username": ann.email, "password": "a wrong guess"}

    began = time.monotonic()
    with ThreadPoolExecutor(50) as pool:
        answers = list(
            pool.map(lambda _: Person(platform.url).ask("POST", LOGIN, form=form), range(50))
        )

    tried = Counter(answer.status for answer in answers)
    assert set(tried) == {401, 429}, tried
    # Five at once, then one after 1, 2, 4, 4 … seconds, because the address is known.
    assert tried[401] <= 5 + 2 + (time.monotonic() - began) / 4
    assert tried[429] > 25
    assert ann.ask("GET", "/api/v1/auth/me").status == 200


def test_forty_registrations_in_a_minute_pass_and_a_hundred_and_fifty_do_not(
    platform: Platform,
) -> None:
    someone = Person(platform.url)

    def register(n: int) -> int:
        person = {"email": f"u{n}@example.com", "password": "secret123"}
        return someone.ask("POST", REGISTER, person).status

    assert [register(n) for n in range(40)] == [201] * 40
    # At once, so that a slow machine does not spread them over minutes.
    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(register, range(40, 150)))

    assert set(statuses) == {201, 429}


def test_a_signed_out_session_is_refused_by_every_function(platform: Platform) -> None:
    form = {"username": "u1@example.com", "password": "secret123"}
    # The registrations above have left no token for the anonymous routes.
    while (answer := Person(platform.url).ask("POST", LOGIN, form=form)).status == 429:
        time.sleep(0.5)
    ann = Person(platform.url, token=answer.body["access_token"])
    paths = [
        "/api/v1/auth/me",
        "/api/v1/projects",
        "/api/v1/templates",
        "/api/v1/environments/projects/prj_01kaq3h5x0c2m9f7r4tz",
        "/api/v1/deployments/dep_01kaq3h5x0c2m9f7r4tz",
    ]
    before = {path: ann.ask("GET", path).status for path in paths}

    assert ann.ask("POST", "/api/v1/auth/logout").status == 204

    assert 401 not in before.values(), before
    assert [ann.ask("GET", path).body["code"] for path in paths] == ["session_ended"] * 5
