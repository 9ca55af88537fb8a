"""The DynamoDB calls of each route are those in docs/round-trips.md."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks import round_trips, routes
from tests.support.repository import FUNCTIONS, ROOT, load_function


def test_every_route_that_reads_the_table_has_a_row() -> None:
    # The console reads the API.
    served = {
        f"{route.method} {route.path}"
        for folder in FUNCTIONS
        if folder.parent.name == "api" and folder.name not in ("docs", "console")
        for route in load_function(folder).api.routes
    }

    assert {route for route, _ in routes.ROUTES.values()} == served


def test_the_committed_table_is_what_the_routes_do(tmp_path: Path) -> None:
    # In a process of its own: handlers keep clients and keys for as long as they live.
    subprocess.run(
        [sys.executable, "-m", "benchmarks.round_trips", tmp_path / "now.md"],
        check=True,
        capture_output=True,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "layers/core"},
    )

    committed = round_trips.COMMITTED.read_text()
    assert (tmp_path / "now.md").read_text() == committed, "make round-trips writes it"


def test_a_get_takes_one_round_trip_and_a_write_two() -> None:
    lines = [
        [cell.strip() for cell in line.split("|")]
        for line in round_trips.COMMITTED.read_text().splitlines()
    ]
    depth = {line[1]: int(line[3]) for line in lines if len(line) > 3 and line[3].isdigit()}

    assert set(depth) == set(routes.ROUTES)
    assert {name for name, trips in depth.items() if trips > routes.budget(name)} == set()


def test_no_route_scans_the_table() -> None:
    assert "Scan" not in round_trips.COMMITTED.read_text()
