"""Work that was under way when `make local` ended goes on when it starts again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.data import Data
from local.platform import Platform
from tests.support.http_user import Person
from tests.support.local.platform import eventually

pytestmark = pytest.mark.xdist_group("e2e")

Begin = Callable[..., Platform]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Start a platform that continues with what the one before has kept."""
    started: list[Platform] = []

    def begin(every: float = 3600.0, seconds: str = "3") -> Platform:
        data = Data(tmp_path, fresh=False, every=every, say=print)
        port = started[0].port if started else 0
        platform = Platform(port=port, parameters={"SimulatedSeconds": seconds}, data=data)
        started.append(platform)
        platform.start()
        return platform

    yield begin
    for platform in started:
        platform.stop()


def kill(platform: Platform) -> None:
    assert platform.emulator
    os.killpg(platform.emulator.pid, signal.SIGKILL)
    platform.emulator.wait()
    platform.stop()


def environment(person: Person, project: str, **more: Any) -> str:
    wanted = {"name": "preview", "type": "persistent", **more}
    made = person.ask("POST", f"/api/v1/environments/projects/{project}", wanted)
    assert made.status == 201, made.body
    return str(made.body["id"])


def deploy(person: Person, environment: str, version: str) -> str:
    wanted = {"version": version}
    made = person.ask("POST", f"/api/v1/deployments/environments/{environment}", wanted)
    assert made.status == 201, made.body
    return str(made.body["id"])


def status(person: Person, path: str, wanted: str) -> dict[str, Any]:
    """The object, once its status is the one that is wanted."""

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = person.ask("GET", f"/api/v1/{path}").body
        return found if found["status"] == wanted else None

    return eventually(look, 30)


def test_a_provisioning_and_rollouts_go_on_after_a_stop(begin: Begin) -> None:
    first = begin()
    person = Person(first.url).sign_in()
    project = person.project()
    provisioning = environment(person, project)
    first.stop()

    again = begin()

    assert person.ask("GET", f"/api/v1/environments/{provisioning}").status == 200  # same token
    status(person, f"environments/{provisioning}", "running")
    rolling, waiting = (deploy(person, provisioning, version) for version in ("v1", "v2"))
    status(person, f"deployments/{rolling}", "running")
    again.stop()

    begin()

    status(person, f"deployments/{rolling}", "succeeded")
    status(person, f"deployments/{waiting}", "succeeded")
    seen = person.ask("GET", f"/api/v1/environments/{provisioning}").body
    assert seen["live_version"] == "v2"
    log = person.ask("GET", f"/api/v1/deployments/{rolling}/logs").body
    assert [line["step"] for line in log][-1] == "succeed"


def test_a_teardown_goes_on_and_a_lease_ends_although_the_platform_was_off(begin: Begin) -> None:
    first = begin()
    person = Person(first.url).sign_in()
    project = person.project()
    persistent = environment(person, project)
    status(person, f"environments/{persistent}", "running")
    lease = {"type": "ephemeral", "name": "short", "ttl_hours": 0.002}  # 7.2 seconds
    short = environment(person, project, **lease)
    status(person, f"environments/{short}", "running")
    assert person.ask("DELETE", f"/api/v1/environments/{persistent}").status == 202
    first.stop()

    begin()

    status(person, f"environments/{persistent}", "destroyed")
    status(person, f"environments/{short}", "destroyed")


def test_after_a_kill_the_platform_is_as_it_was_at_one_moment(begin: Begin) -> None:
    platform = begin(every=0.3, seconds="1")
    person = Person(platform.url).sign_in()
    project = person.project()
    existing = environment(person, project)
    status(person, f"environments/{existing}", "running")
    state = Path(platform.data.folder, "state")  # type: ignore[union-attr]
    sent = [deploy(person, existing, f"v{number}") for number in range(4)]
    for _ in range(2):  # the first one may have begun before the last request
        saved = state.stat().st_ino
        eventually(lambda: state.stat().st_ino != saved)  # noqa: B023
    kill(platform)

    begin(seconds="1")

    listed = person.ask("GET", f"/api/v1/deployments/environments/{existing}").body
    assert [each["id"] for each in listed] == sent[::-1]
    for each in sent:
        status(person, f"deployments/{each}", "succeeded")
