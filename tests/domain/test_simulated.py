"""The simulated driver: how long it takes, and the faults that a script can request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from slipway.drivers.base import Driver, Operation, Progress
from slipway.drivers.simulated import LOOKS_EVERY_SECONDS, Simulated
from slipway.errors import DriverFault, DriverRefused
from slipway.settings import settings

pytestmark = pytest.mark.usefixtures("environ")

STARTED = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)
VERBS = ["provision", "ship", "restore", "retire"]
every_verb = pytest.mark.parametrize("verb", VERBS)


def ask(
    verb: str,
    script: Any = None,
    after: float = 0,
    resource: str = "service",
    version: str | None = None,
    **config: Any,
) -> Progress:
    """The driver's answer after so many seconds, with this script for the verb."""
    if script is not None:
        config["simulate"] = {verb: script}
    operation = Operation(
        execution="x",
        environment_id=f"env_{'0' * 20}_{'1' * 20}",
        environment_name="Preview #1",
        started_at=STARTED,
        now=STARTED + timedelta(seconds=after),
        resource=resource if verb in ("provision", "retire") else None,
        version=version,
        config=config,
    )
    driver: Driver = Simulated()
    progress: Progress = getattr(driver, verb)(operation)
    return progress


@pytest.fixture
def ten_seconds(environ: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATED_SECONDS", "10")
    settings.cache_clear()


@every_verb
def test_without_a_script_it_succeeds_at_once(verb: str) -> None:
    assert ask(verb).done


@pytest.mark.usefixtures("ten_seconds")
@pytest.mark.parametrize("verb,seconds", [("provision", 10), ("ship", 10), ("restore", 5)])
def test_provisioning_takes_the_time_of_the_stack_and_a_restore_half_of_it(
    verb: str, seconds: int
) -> None:
    assert ask(verb, after=seconds - 0.5) == Progress(done=False, wait_seconds=1)
    assert ask(verb, after=seconds).done


@pytest.mark.usefixtures("ten_seconds")
def test_a_teardown_takes_no_time_without_a_script() -> None:
    assert ask("retire").done
    assert ask("retire", {"seconds": 5}, after=4.5) == Progress(done=False, wait_seconds=1)
    assert ask("retire", {"seconds": 5}, after=5).done


def test_only_a_provisioned_environment_has_a_url() -> None:
    assert ask("provision").base_url == "https://preview-1-11111111.simulated.example.com"
    assert [ask(verb).base_url for verb in VERBS[1:]] == [None] * 3
    assert ask("provision", {"seconds": 1}).base_url is None


@every_verb
def test_a_script_says_how_long_it_takes(verb: str) -> None:
    assert ask(verb, {"seconds": 30}) == Progress(done=False, wait_seconds=LOOKS_EVERY_SECONDS)
    assert ask(verb, {"seconds": 30}, after=27.5) == Progress(done=False, wait_seconds=3)
    assert ask(verb, {"seconds": 30}, after=30).done
    assert ask(verb, {"seconds": 0.5}, after=0.1).wait_seconds == 1


@every_verb
def test_a_script_makes_it_refuse_for_good(verb: str) -> None:
    for after in (0, 1000):
        with pytest.raises(DriverRefused, match="no capacity"):
            ask(verb, {"refuse": "no capacity", "seconds": 1}, after=after)


@every_verb
def test_a_script_makes_it_fault_for_a_while(verb: str) -> None:
    for after in (0, 19.9):
        with pytest.raises(DriverFault):
            ask(verb, {"fault_seconds": 20}, after=after)
    assert ask(verb, {"fault_seconds": 20}, after=20).done


@pytest.mark.parametrize("verb", ["provision", "retire"])
def test_the_time_of_a_script_applies_to_the_service_only(verb: str) -> None:
    assert ask(verb, {"seconds": 10}, resource="database").done
    assert not ask(verb, {"seconds": 10}).done


@pytest.mark.usefixtures("ten_seconds")
def test_the_time_of_the_stack_applies_to_the_service_only() -> None:
    assert ask("provision", resource="database").done
    assert not ask("provision").done


@pytest.mark.parametrize("verb", ["provision", "retire"])
def test_a_script_may_name_a_resource(verb: str) -> None:
    script = {"refuse": "no capacity", "resource": "database"}

    with pytest.raises(DriverRefused, match="no capacity"):
        ask(verb, script, resource="database")
    assert ask(verb, script).done


def test_a_script_may_name_a_version() -> None:
    script = {"refuse": "no such image", "version": "v2"}

    with pytest.raises(DriverRefused, match="no such image"):
        ask("ship", script, version="v2")
    assert ask("ship", script, version="v1").done
    assert ask("restore", script, version=None).done


def test_the_script_of_one_verb_does_not_affect_others() -> None:
    simulate = {"ship": {"refuse": "no"}}

    assert ask("retire", simulate=simulate).done
    with pytest.raises(DriverRefused):
        ask("ship", simulate=simulate)


MALFORMED: dict[str, Any] = {
    "nothing": None,
    "a text": "ship",
    "a list": [{"ship": {"refuse": "no"}}],
    "a script that is a text": {"ship": "refuse"},
    "a script that is a list": {"ship": [1]},
    "a script that is nothing": {"ship": None},
    "seconds that are a text": {"ship": {"seconds": "30"}},
    "seconds that are nothing": {"ship": {"seconds": None}},
    "seconds below zero": {"ship": {"seconds": -5}},
    "seconds beyond every float": {"ship": {"seconds": 10**400}},
    "faults beyond every float": {"ship": {"fault_seconds": 10**400}},
    "faults that are a list": {"ship": {"fault_seconds": [5]}},
    "a word that is not known": {"ship": {"explode": True}},
    "a verb that is not known": {"destroy": {"refuse": "no"}},
}


@pytest.mark.parametrize("simulate", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_script_is_ignored(simulate: Any) -> None:
    assert ask("ship", simulate=simulate).done


@every_verb
def test_a_script_is_ignored_where_faults_are_not_allowed(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMULATE_FAULTS", "false")
    settings.cache_clear()

    for script in ({"refuse": "no"}, {"fault_seconds": 100}, {"seconds": 100}):
        assert ask(verb, script).done
