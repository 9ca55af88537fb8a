"""How a step polls a driver: with the same operation each time, for at most an hour."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from slipway import drivers
from slipway.domain import timestamps
from slipway.drivers.base import Operation, Progress
from slipway.errors import DriverRefused

pytestmark = pytest.mark.usefixtures("environ")

ENVIRONMENT = {
    "id": f"env_{'0' * 20}_{'1' * 20}",
    "name": "preview",
    "driver": "simulated",
    "config": '{"simulate":{"ship":{"seconds":7200}}}',
}


def event(ago: timedelta = timedelta()) -> dict[str, Any]:
    return {"execution": "x", "started_at": timestamps.written(timestamps.now() - ago)}


def test_a_driver_gets_the_data_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Operation] = []

    class Told:
        resources = ()

        def ship(self, operation: Operation) -> Progress:
            asked.append(operation)
            return Progress(done=True)

    monkeypatch.setitem(drivers.DRIVERS, "told", Told)
    plain = {name: value for name, value in ENVIRONMENT.items() if name != "config"}

    for environment in (ENVIRONMENT, plain):
        assert drivers.ask("ship", {**environment, "driver": "told"}, event(), version="v7").done

    first, second = asked
    assert (first.execution, first.environment_name, first.version) == ("x", "preview", "v7")
    assert first.config == {"simulate": {"ship": {"seconds": 7200}}}
    assert second.config == {}


def test_an_operation_that_takes_longer_than_an_hour_is_refused() -> None:
    assert not drivers.ask("ship", ENVIRONMENT, event(timedelta(minutes=59))).done

    with pytest.raises(DriverRefused, match=r"^The operation took longer than"):
        drivers.ask("ship", ENVIRONMENT, event(timedelta(minutes=61)))


def test_a_script_reaches_the_simulated_driver() -> None:
    assert not drivers.ask("ship", ENVIRONMENT, event()).done
    assert drivers.ask("retire", ENVIRONMENT, event()).done
