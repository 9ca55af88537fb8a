"""`make relist`: records that are older than the index get the attributes, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from deploy import as_function, relist
from slipway.store import deployment_records, environment_records, table
from slipway.store.table import Update
from tests.support.store import world

pytestmark = pytest.mark.usefixtures("aws")


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(as_function, "of_stack", lambda name: "https://api.example.com")


def test_old_records_are_put_into_their_lists_once(capsys: pytest.CaptureFixture[str]) -> None:
    ann = world.user()
    project = world.project(ann)
    running = world.environment(project, ann)
    world.comes_up(running)
    made = world.deployment(running, ann)
    gone = world.environment(project, ann, "gone")
    # Written before the index, and destroyed before it.
    world.becomes(gone, "destroyed")
    keys = [environment_records.key(running), environment_records.key(gone)]
    keys.append(deployment_records.key(made))
    before = world.everything()
    for key in keys:
        table.write(Update(key, "REMOVE listed, listed_at", {}))

    assert relist.main(["--stack", "slipway-dev"]) == 0

    assert "2 records" in capsys.readouterr().out
    assert world.everything() == [
        without(item) if is_at(item, keys[1]) else item for item in before
    ]
    assert relist.main(["--stack", "slipway-dev"]) == 0
    assert "0 records" in capsys.readouterr().out


def test_what_an_old_execution_has_destroyed_leaves_its_list(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ann = world.user()
    gone = world.environment(world.project(ann), ann)
    world.becomes(gone, "destroyed")

    assert relist.main(["--stack", "slipway-dev"]) == 0

    assert "1 records" in capsys.readouterr().out
    assert "listed" not in table.get(environment_records.key(gone))[0]


def without(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if not name.startswith("listed")}


def is_at(item: dict[str, Any], key: table.Key) -> bool:
    return (item["pk"]["S"], item["sk"]["S"]) == key
