"""Provisioning: resources are registered before they are made, and undone in reverse order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from slipway import drivers
from slipway.access.principal import Principal
from slipway.domain import ids, timestamps
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.drivers.base import Operation, Progress
from slipway.errors import DriverFault, DriverRefused, StaleWrite
from slipway.services import provisioning
from slipway.store import environment_records
from tests.support.store import world

REFUSED = DriverRefused("It is protected")
FAILURE = {"error": "DriverRefused", "reason": "It is protected", "step": "Retire"}
FAULT = DriverFault("Not now")
WAIT = Progress(done=False, wait_seconds=7)


class Built:
    """A driver of three resources, and what it is to say of which; `asked` has what it was."""

    resources: tuple[str, ...] = ("network", "database", "service")

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.says: dict[tuple[str, str], Progress | Exception] = {}
        self.registered: list[set[str]] = []

    def __call__(self) -> Built:
        return self

    def provision(self, operation: Operation) -> Progress:
        record = environment_records.find(ids.parse_environment(operation.environment_id))
        assert record
        self.registered.append(record.get("resources", set()))
        return self._answer("provision", operation)

    def retire(self, operation: Operation) -> Progress:
        return self._answer("retire", operation)

    def _answer(self, verb: str, operation: Operation) -> Progress:
        assert operation.resource
        self.asked.append((verb, operation.resource))
        answer = self.says.get((verb, operation.resource), Progress(done=True, base_url=None))
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Built:
    built = Built()
    monkeypatch.setitem(drivers.DRIVERS, "simulated", built)
    return built


@pytest.fixture
def environment(driver: Built, ann: Principal, project: ProjectId) -> EnvironmentId:
    return world.environment(project, ann)


def item(environment: EnvironmentId) -> Mapping[str, Any]:
    found = environment_records.find(environment)
    assert found
    return found


def go(verb: str, environment: EnvironmentId) -> Progress:
    event = {"execution": "x", "started_at": timestamps.written(timestamps.now())}
    progress: Progress = getattr(provisioning, verb)(item(environment), event)
    return progress


def left(environment: EnvironmentId) -> list[str]:
    return sorted(item(environment).get("resources", ()))


def test_each_resource_is_registered_before_it_is_made(
    environment: EnvironmentId, driver: Built
) -> None:
    assert go("provision", environment).done

    assert [resource for _, resource in driver.asked] == ["network", "database", "service"]
    assert driver.registered == [
        {"network"},
        {"network", "database"},
        {"network", "database", "service"},
    ]


def test_a_slow_resource_is_waited_for(environment: EnvironmentId, driver: Built) -> None:
    driver.says["provision", "database"] = WAIT

    assert go("provision", environment) == WAIT
    assert left(environment) == ["database", "network"]

    driver.says["provision", "database"] = Progress(done=True, base_url="https://here.example.com")
    assert go("provision", environment).base_url == "https://here.example.com"


def test_an_environment_that_goes_is_not_provisioned(
    environment: EnvironmentId, driver: Built, ann: Principal
) -> None:
    before = item(environment)
    environment_records.move(environment, "tearing_down", ann.user_id)

    with pytest.raises(StaleWrite):
        provisioning.provision(before, {"execution": "x", "started_at": before["created_at"]})

    assert (driver.asked, left(environment)) == ([], [])


def test_a_failure_is_undone_in_reverse(environment: EnvironmentId, driver: Built) -> None:
    driver.says["provision", "database"] = DriverRefused("no capacity")
    with pytest.raises(DriverRefused, match=r"^database: no capacity$"):
        go("provision", environment)

    assert go("retire", environment).done

    # A resource that failed may exist in part; one that was never begun is not asked for.
    assert driver.asked[2:] == [("retire", "database"), ("retire", "network")]
    assert left(environment) == []


def test_each_resource_is_undone_before_the_next(environment: EnvironmentId, driver: Built) -> None:
    go("provision", environment)
    driver.says["retire", "database"] = WAIT

    assert go("retire", environment) == WAIT

    assert driver.asked[3:] == [("retire", "service"), ("retire", "database")]
    assert left(environment) == ["database", "network"]


@pytest.mark.parametrize(
    ("says", "error"),
    [
        ({"service": REFUSED, "database": REFUSED}, DriverRefused),
        ({"service": REFUSED, "database": FAULT}, DriverFault),
    ],
)
def test_a_resource_that_cannot_be_undone_does_not_stop_the_others(
    environment: EnvironmentId,
    driver: Built,
    says: dict[str, Exception],
    error: type[Exception],
) -> None:
    go("provision", environment)
    driver.says.update({("retire", resource): what for resource, what in says.items()})

    with pytest.raises(error) as raised:
        go("retire", environment)

    assert all(f"{resource}: {what}" in str(raised.value) for resource, what in says.items())
    assert left(environment) == sorted(says)
    # And the next time only what is left is tried.
    driver.asked.clear()
    driver.says.clear()
    assert go("retire", environment).done
    assert driver.asked == [("retire", "service"), ("retire", "database")]
    assert left(environment) == []


def test_undoing_twice_changes_nothing(environment: EnvironmentId, driver: Built) -> None:
    go("provision", environment)
    before = item(environment)
    event = {"execution": "x", "started_at": before["created_at"]}

    assert provisioning.retire(before, event).done
    assert provisioning.retire(before, event).done

    assert left(environment) == []


def shown(environment: EnvironmentId) -> list[str]:
    """The remaining resources that a failed teardown reports."""
    failed: Any = {**item(environment), "status": "teardown_failed", "failure": FAILURE}
    failure = environment_records.to_model(failed).failure
    assert failure and failure.remaining_resources is not None
    return failure.remaining_resources


def test_remaining_resources_are_not_shown_during_a_teardown(
    environment: EnvironmentId, driver: Built
) -> None:
    go("provision", environment)
    going: Any = {**item(environment), "status": "tearing_down", "failure": FAILURE}

    failure = environment_records.to_model(going).failure

    assert shown(environment)
    assert failure and failure.remaining_resources is None


def test_the_parts_that_remain_of_a_resource_are_listed_if_the_driver_knows_them(
    environment: EnvironmentId, driver: Built
) -> None:
    go("provision", environment)
    driver.says["retire", "database"] = DriverRefused("Not empty", ["Bucket (b)", "Table (t)"])
    driver.says["retire", "network"] = REFUSED
    for _ in range(2):
        with pytest.raises(DriverRefused):
            go("retire", environment)
    assert shown(environment) == ["database: Bucket (b)", "database: Table (t)", "network"]

    driver.says["retire", "database"] = DriverRefused("Not empty")
    with pytest.raises(DriverRefused):
        go("retire", environment)
    assert shown(environment) == ["database", "network"]


def test_the_parts_of_a_resource_that_is_gone_are_not_listed(
    environment: EnvironmentId, driver: Built
) -> None:
    go("provision", environment)
    driver.says["retire", "database"] = DriverRefused("Not empty", ["Bucket (b)"])
    driver.says["retire", "network"] = REFUSED
    with pytest.raises(DriverRefused):
        go("retire", environment)

    driver.says["retire", "database"] = Progress(done=True)
    with pytest.raises(DriverRefused):
        go("retire", environment)

    assert shown(environment) == ["network"]


def test_the_outputs_of_all_resources_are_merged(environment: EnvironmentId, driver: Built) -> None:
    driver.says["provision", "database"] = Progress(done=True, outputs={"Table": "t"})
    driver.says["provision", "service"] = Progress(done=True, outputs={"Url": "https://u"})

    progress = go("provision", environment)

    assert progress.outputs == {"Table": "t", "Url": "https://u"}
    before: Any = item(environment)
    environment_records.record_outputs(before, {"Table": "t", "Url": "https://u"}, "dep_x")
    assert item(environment)["outputs"] == {"Table": "t", "Url": "https://u"}
    assert item(environment)["base_url"] == "https://u"
    environment_records.record_outputs(before, {"Table": "other"}, "dep_x")
    assert "base_url" not in item(environment)
