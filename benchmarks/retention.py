"""Retention: what the table holds during three years of use. It takes about four minutes.

A small team releases twice a week: each time it makes a preview with two deployments and deploys to
staging twice, one of them in vain every week, and once a week to production, whose labels somebody
changes. A project comes and goes each quarter. The real store, dispatch, reconcile and state
machines run in process, on a clock that jumps. TTL sweeps once a week, because DynamoDB promises
days, not seconds.

The audit is not in it: requests write it, and nothing removes it. `audit_of_a_change` measures what
one request adds.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from benchmarks import units
from benchmarks.support import bars, save, show

DAY = 24 * 3600
YEARS = 3
# A plot and a table have a row for each so many days.
EVERY = 90
# From here on nothing more may gather: what ended first has gone, and TTL has swept.
LEVEL_FROM = 450

Held = dict[str, tuple[int, int]]
"""The number of items and bytes, by their kinds in docs/retention.md."""


def held(world: Any) -> Held:
    """The items that the table holds now."""
    from tests.support import lifetimes

    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for item in world.items(""):
        kind = lifetimes.of({name: item[name]["S"] for name in ("pk", "sk")})
        name = kind.name if kind else "unknown"
        counts[name] += 1
        sizes[name] += units.size(item)
    return {name: (counts[name], sizes[name]) for name in counts}


class Team:
    """The team, and the days that it has worked."""

    def __init__(self, world: Any) -> None:
        self.world = world
        fails = {"ship": {"version": "broken", "refuse": "no such image"}}
        self.staging = world.environment(name="staging", simulate=fails)
        self.production = world.environment(name="production")
        world.run(60)

    def work(self, day: int) -> None:
        world = self.world
        preview = world.environment(ttl_hours=72, name=f"pr-{day}")
        world.run(30)
        for version in ("a", "b"):
            world.deploy(preview, f"sha-{day}{version}")
            world.deploy(self.staging, "broken" if (day % 7, version) == (0, "b") else f"sha-{day}")
            world.run(600)
        if day % 7 == 3:
            world.deploy(self.production, f"sha-{day}")
            self._change_labels(day)
            world.run(600)

    def _change_labels(self, day: int) -> None:
        from slipway.domain.environment_requests import EnvironmentChange
        from slipway.services import changes
        from tests.support.workflows.world import OWNER

        wanted = EnvironmentChange.model_validate({"labels": {"released": f"day-{day}"}})
        changes.change(self.production, wanted, OWNER, None, None)

    def quarter(self, day: int) -> None:
        """A project with an environment comes, and goes a minute later."""
        from slipway.services import projects
        from tests.support.workflows.world import OWNER

        project = self.world.new_project(f"trial-{day}")
        self.world.running(name="trial", project=project)
        projects.remove(project, OWNER, None, cascade=True)
        self.world.run(60)


def years() -> dict[int, Held]:
    """The items that the table holds, by the days that have passed."""
    from tests.support.lambda_environment import as_on_lambda
    from tests.support.workflows.world import World

    found: dict[int, Held] = {}
    with (
        as_on_lambda(),
        World(simulated_seconds=2, slow_to_go=False) as world,
        redirect_stdout(StringIO()),
    ):
        assert world.project
        begun = world.schedule.now
        team = Team(world)
        for day in range(YEARS * 365 + 1):
            if day % EVERY == 0:
                found[day] = held(world)
                team.quarter(day)
            if day % 7 in (0, 3):
                team.work(day)
            world.run(begun + (day + 1) * DAY - world.schedule.now)
            if day % 7 == 6:
                world.sweep_ttl()
            if world.is_awake():
                world.strike()
            world.forget_the_past()
        assert world.dead_letters == []
    return found


def audit_of_a_change() -> tuple[int, int]:
    """The items and bytes that one change adds to the audit, once it is linked."""
    from benchmarks.loopback import Watched
    from benchmarks.round_trips import handlers
    from benchmarks.stage import Stage

    with Watched() as dynamodb, handlers(dynamodb):
        stage = Stage()
        path = f"/api/v1/deployments/environments/{stage.environment}"
        before = _audit(dynamodb)
        assert stage.ann.post(path, {"version": "sha-1234567"}).status == 201
        from slipway.services import audit_links

        audit_links.link(stage.project.p)
        after = _audit(dynamodb)
    return after[0] - before[0], after[1] - before[1]


def _audit(dynamodb: Any) -> tuple[int, int]:
    items = dynamodb.ask("Scan", {"TableName": "slipway"})["Items"]
    of_it = [each for each in items if each["pk"]["S"].startswith(("AUDIT#", "CHAIN#"))]
    return len(of_it), sum(map(units.size, of_it))


def total(found: Held) -> tuple[int, int]:
    """The items and bytes in all."""
    return sum(n for n, _ in found.values()), sum(size for _, size in found.values())


SHOWN = {
    "log lines": ("its log lines", "a deployment's log lines"),
    "events": ("its events",),
    "deployments": ("its deployments", "a deployment's timeline"),
    "environments": ("environment",),
}


def _parts(found: Held) -> dict[str, float]:
    parts = {name: float(sum(found.get(k, (0, 0))[0] for k in of)) for name, of in SHOWN.items()}
    return {**parts, "all else": total(found)[0] - sum(parts.values())}


def growth(found: Mapping[int, Held]) -> float:
    """By how much the table grew from LEVEL_FROM on, in parts of its size then."""
    then = min(day for day in found if day >= LEVEL_FROM)
    return total(found[max(found)])[0] / total(found[then])[0] - 1


def main() -> None:
    found = years()
    rows = []
    for day, each in found.items():
        count, size = total(each)
        rows.append((day, *(int(n) for n in _parts(each).values()), count, size // 1000))
    show(
        "Retention: items in the table during three years of use",
        ("day", *SHOWN, "all else", "in all", "kB"),
        rows,
    )
    kinds = sorted({kind for each in found.values() for kind in each})
    a_year, last = min(day for day in found if day >= 365), max(found)
    show(
        f"Items by kind, after {a_year} and after {last} days",
        ("kind", f"day {a_year}", f"day {last}"),
        [(kind, *(found[day].get(kind, (0, 0))[0] for day in (a_year, last))) for kind in kinds],
    )
    count, size = audit_of_a_change()
    grown = growth(found)
    print(
        f"\nFrom day {LEVEL_FROM} on the table grew by {grown:.1%}."
        f"\nA change adds {count} items and {size} bytes to the audit, for good."
    )
    bars(
        "retention",
        "Items in the table, by the days that have passed",
        {f"day {day}": _parts(each) for day, each in found.items()},
        "",
    )
    save("retention", {"found": json.loads(json.dumps(found)), "growth": grown})
    assert grown < 0.05, "the table does not level off"


if __name__ == "__main__":
    main()
