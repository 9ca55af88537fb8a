"""Cost: state transitions counted from real executions, and the prices of these and the rest.

The executions are those of the workflow tests: the real state machines, store and functions, in
process. prices.toml has all prices and assumptions about Slipway's use; earlier benchmarks measured
the work of a call.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from math import ceil
from typing import Any

from benchmarks import routes, units
from benchmarks.support import ROOT, bars, save, saved, show

PRICES: dict[str, Any] = tomllib.loads((ROOT / "benchmarks/prices.toml").read_text())
TRANSITIONS = {"life": 20, "rollout": 8, "waiting": 0}
PER_MILLION = 2.80

Bill = dict[str, float]

# ── The work of workflows ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Run:
    """The counts of a story: transitions by workflow, looks at a driver that was still at work,
    invocations by function, and DynamoDB's units.
    """

    transitions: dict[str, int]
    polls: int
    invocations: dict[str, int]
    reads: float
    writes: int

    @property
    def total(self) -> int:
        return sum(self.transitions.values())

    def bill(self) -> Bill:
        prices, assumed = PRICES, PRICES["assumed"]["world"]
        times = sum(self.invocations.values())
        # A step is little work and two round trips, during which its memory is billed.
        seconds = (20 + 2 * assumed["round_trip_ms"]) / 1000
        return {
            "transitions": self.total * prices["step_functions"]["transition"],
            "functions": times
            * (
                prices["lambda"]["request"]
                + seconds * memory("dispatch") / 1024 * prices["lambda"]["gb_second"]
            ),
            "DynamoDB": self.reads * prices["dynamodb"]["read_unit"]
            + self.writes * prices["dynamodb"]["write_unit"],
            "logs": times * assumed["event_log_bytes"] / 1e9 * prices["logs"]["gb"],
        }


def lived(story: Callable[[Any], None]) -> Run:
    """Run a story in a world of its own."""
    from tests.support.lambda_environment import as_on_lambda
    from tests.support.workflows.world import World

    with (
        as_on_lambda(),
        World(simulated_seconds=2, slow_to_go=False) as world,
        redirect_stdout(StringIO()),
    ):
        # The preparation is not counted.
        assert world.project
        before = len(world.stream)
        world.calls.made.clear()
        story(world)
        executions = list(world.executions())
        assert all(each.status == "SUCCEEDED" for each in executions), executions
        made = [call.name for call in world.calls.made]
        return Run(
            transitions=dict(Counter(_transitions(executions))),
            polls=sum(
                _is_poll(each.workflow, state) for each in executions for state in each.states
            ),
            invocations=dict(
                Counter(name.split(" > lambda ")[1] for name in made if " > lambda " in name)
            ),
            # Each of their calls reads at most two items.
            reads=2.0 * sum(name.endswith(("GetItem", "Query")) for name in made),
            writes=sum(_write_units(record["dynamodb"]) for record in world.stream[before:]),
        )


def _is_poll(workflow: str, state: str) -> bool:
    """Whether the state waits for a driver: for some seconds, not until a timestamp."""
    from tests.support.workflows.graph import definitions

    return "Seconds" in definitions()[workflow]["States"][state]


def _transitions(executions: Iterable[Any]) -> list[str]:
    return [each.workflow for each in executions for _ in range(each.transitions)]


def _write_units(change: Mapping[str, Any]) -> int:
    """Write units, as if all writes were in transactions, which most are."""
    before, after = change.get("OldImage", {}), change.get("NewImage", {})
    size = max(units.size(before), units.size(after))
    return 2 * max(1, ceil(size / 1024)) + units.index_units(before, after)


def whole_life(world: Any) -> None:
    environment = world.environment(ttl_hours=1)
    world.run(7200)
    assert world.look(environment)["status"] == "destroyed"


def given_back(world: Any) -> None:
    environment = world.environment()
    world.run(60)
    world.delete(environment)
    world.run(60)
    assert world.look(environment)["status"] == "destroyed"


def extended(world: Any) -> None:
    environment = world.environment(ttl_hours=1)
    world.run(1800)
    world.extend(environment, 2)
    world.run(10_800)
    assert world.look(environment)["status"] == "destroyed"


def rollouts(times: int) -> Callable[[Any], None]:
    def story(world: Any) -> None:
        environment = world.environment()
        made = [world.deploy(environment, f"v{n}") for n in range(times)]
        world.run(600)
        assert all(world.look(each)["status"] == "succeeded" for each in made)

    return story


STORIES: dict[str, Callable[[Any], None]] = {
    "an ephemeral environment's whole life": whole_life,
    "the same, extended once": extended,
    "a persistent one, torn down by request": given_back,
    "provisioning a persistent one": rollouts(0),
    "… and one rollout": rollouts(1),
    "… and five rollouts in a queue": rollouts(5),
}


def without(run: Run, other: Run) -> Run:
    """The difference between two runs."""

    def less(these: Mapping[str, int], those: Mapping[str, int]) -> dict[str, int]:
        return {name: n for name in these if (n := these[name] - those.get(name, 0))}

    return Run(
        less(run.transitions, other.transitions),
        run.polls - other.polls,
        less(run.invocations, other.invocations),
        run.reads - other.reads,
        run.writes - other.writes,
    )


# ── The cost of calls ─────────────────────────────────────────────────────────────────────────


def memory(function: str) -> int:
    """The memory, in megabytes, that template.yaml gives each function with this code."""
    from tests.support.repository import resources, running, template

    common = template()["Globals"]["Function"]["MemorySize"]
    functions = resources("AWS::Serverless::Function")
    [size] = {functions[name]["Properties"].get("MemorySize", common) for name in running(function)}
    return int(size)


def a_million_calls(found: Mapping[str, Any], line: int) -> Bill:
    """The cost, line by line. `line` is the size in bytes of a request's log record."""
    world, shares = PRICES["assumed"]["world"], PRICES["assumed"]["calls"]
    assert abs(sum(shares.values()) - 1) < 1e-9
    gateway, functions, logs = PRICES["api_gateway"], PRICES["lambda"], PRICES["logs"]
    reads, writes = (
        sum(share * found[name]["units"][n] for name, share in shares.items()) for n in (0, 1)
    )
    seconds = {
        name: duration(name, memory(_function(name)), found[name]["depth"]) for name in shares
    }
    gb_seconds = sum(
        share
        * (seconds[name] + world["cold_share"] * start_seconds(_function(name)))
        * memory(_function(name))
        / 1024
        for name, share in shares.items()
    )
    record = line + world["access_log_bytes"] + world["platform_log_bytes"]
    each = {
        "gateway": gateway["http_api_request"],
        "functions, requests": functions["request"],
        "functions, duration": gb_seconds * functions["gb_second"],
        "DynamoDB, reads": reads * PRICES["dynamodb"]["read_unit"],
        "DynamoDB, writes": writes * PRICES["dynamodb"]["write_unit"],
        "logs": record / 1e9 * logs["gb"],
        "traces": PRICES["xray"]["sampled"] * PRICES["xray"]["trace"] if traced() else 0.0,
    }
    return {name: price * 1e6 for name, price in each.items()}


def _function(call: str) -> str:
    route = routes.ROUTES[call][0].split()[1]
    return route.split("/")[3]


def duration(call: str, megabytes: int, depth: int) -> float:
    """The billed seconds of a call: its work at its share of a processor, and its waiting."""
    kinds = {"sign in": "sign in", "create a deployment": "create deployment"}
    kind = kinds.get(call, "list environments" if call.startswith("list") else "get environment")
    turns = sorted(run["cpu"] for run in saved("warm_request")[f"{kind}/slipway"])
    work_seconds = float(turns[len(turns) // 2]) / 1e6
    share: float = min(1.0, megabytes / PRICES["lambda"]["mb_of_a_processor"])
    waiting: float = depth * PRICES["assumed"]["world"]["round_trip_ms"] / 1000
    return work_seconds / share + waiting


def start_seconds(function: str) -> float:
    """Lambda starts functions with a whole processor, whatever their memory."""
    turns = sorted(run["cpu"] for run in saved("cold_start")["rounds"][function])
    return float(turns[len(turns) // 2]) / 1000


def traced() -> bool:
    from tests.support.repository import template

    return bool(template()["Globals"]["Function"].get("Tracing") == "Active")


def log_line() -> int:
    """The size in bytes of the log record of a GET, as the function writes it."""
    from benchmarks.loopback import Watched
    from benchmarks.round_trips import handlers
    from benchmarks.stage import Stage

    with Watched() as dynamodb, handlers(dynamodb):
        stage = Stage()
        written = StringIO()
        with redirect_stdout(written):
            from slipway import observe

            observe.log.cache_clear()
            stage.ann.get(f"/api/v1/environments/{stage.environment}")
        observe.log.cache_clear()
    [record] = written.getvalue().splitlines()
    assert json.loads(record)["message"] == "request"
    return len(record.encode()) + 1


# ── The cost of an idle stack ───────────────────────────────────────────────────────────────


def idle_month() -> Bill:
    """The cost of a deployed stack without calls, from the resources in template.yaml."""
    from tests.support.repository import resources

    alarms = resources("AWS::CloudWatch::Alarm").values()
    metrics = sum(
        sum("MetricStat" in each for each in alarm["Properties"].get("Metrics", [])) or 1
        for alarm in alarms
    )
    stored = 0.1
    return {
        f"alarms ({len(alarms)}, on {metrics} metrics)": metrics
        * PRICES["logs"]["alarm_metric_month"],
        "the signing secret": len(resources("AWS::SecretsManager::Secret"))
        * PRICES["secrets"]["secret_month"],
        "stored: 100 MB in the table, with recovery": stored
        * (PRICES["dynamodb"]["gb_month"] + PRICES["dynamodb"]["recovery_gb_month"]),
        "stored: 100 MB of logs": stored * PRICES["logs"]["gb_month"],
        **reconciling("once a day", 30, "dispatch", reads=10, writes=1),
        "gateway, functions, workflows, queue, topic, table, stream": 0.0,
    }


def awake_month() -> Bill:
    """The cost that reconcile adds in a month in which there is always a deadline."""
    from tests.support.repository import template

    assert template()["Parameters"]["ReconcileSchedule"]["Default"] == "rate(5 minutes)"
    return reconciling("every five minutes", 30 * 24 * 12, "reconcile", reads=9, writes=0)


def reconciling(when: str, runs: int, starts_like: str, reads: float, writes: int) -> Bill:
    """The cost of reconcile's invocations.

    `starts_like`: once a day it finds nothing and disables its rule, for which it loads the same
    modules as dispatch.
    """
    # It was idle for at least five minutes, so about half of its invocations are cold starts.
    gb_seconds = start_seconds(starts_like) * memory("reconcile") / 1024
    dynamodb, functions = PRICES["dynamodb"], PRICES["lambda"]
    written = PRICES["assumed"]["world"]["event_log_bytes"] / 1e9
    each = {
        f"reconcile, {when} ({runs:,} runs)": functions["request"]
        + gb_seconds * functions["gb_second"],
        "reconcile's logs": written * PRICES["logs"]["gb"],
        "reconcile's reads and writes": reads * dynamodb["read_unit"]
        + writes * dynamodb["write_unit"],
    }
    return {line: runs * price for line, price in each.items()}


def always_on() -> Bill:
    """The cost of the peer where it always runs: a small container and a small database."""
    price = PRICES["always_on"]
    hours = price["hours"]
    return {
        "container": hours
        * (
            price["vcpus"] * price["fargate_vcpu_hour"]
            + price["gigabytes"] * price["fargate_gb_hour"]
        ),
        "database": hours * price["database_hour"]
        + price["database_gb"] * price["database_gb_month"],
        "load balancer": hours
        * (price["load_balancer_hour"] + price["addresses"] * price["address_hour"]),
    }


# ── All of it ───────────────────────────────────────────────────────────────────────────────


def main() -> None:
    runs = {name: lived(story) for name, story in STORIES.items()}
    up, one, five = (runs[name] for name in list(STORIES)[-3:])
    runs["a straight rollout"] = straight = without(one, up)
    runs["waiting in the queue, for each of four"] = Run(
        {"all": (five.total - up.total - 5 * straight.total) // 4}, 0, {}, 0, 0
    )
    show(
        "State transitions, counted from executions",
        ("", "transitions", "polls", "of which", "functions run", "units read", "written"),
        [
            (
                name,
                run.total,
                run.polls,
                ", ".join(f"{workflow} {n}" for workflow, n in run.transitions.items()),
                sum(run.invocations.values()),
                run.reads,
                run.writes,
            )
            for name, run in runs.items()
        ],
    )
    bars(
        "transitions",
        "State transitions, by workflow (dashed: the budget of a whole life)",
        {name: run.transitions for name, run in runs.items() if run.total},
        "",
        TRANSITIONS["life"],
    )
    line = log_line()
    calls = a_million_calls(saved("round_trips"), line)
    idle, awake, server = idle_month(), awake_month(), always_on()
    stories = {
        name: {part: 1000 * price for part, price in runs[name].bill().items()}
        for name in ("an ephemeral environment's whole life", "a straight rollout")
    }
    _tell("A million API calls", calls)
    for name, bill in stories.items():
        _tell(f"A thousand times {name}", bill)
    _tell("A month of an idle stack", idle)
    _tell("In addition, if a record has a deadline all month", awake)
    _tell("A month of a small server that always runs, with its database", server)
    per_call = sum(calls.values()) / 1e6
    even = (sum(server.values()) - sum(idle.values())) / per_call
    print(
        f"\nA request's log record has {line} bytes."
        f"\nThe server is cheaper above {even / 1e6:.1f} million calls a month, if it copes."
    )
    bars(
        "cost-million-calls",
        "A million API calls, US dollars (dashed: the budget)",
        {"slipway": {name: price for name, price in calls.items() if price >= 0.005}},
        "$",
        PER_MILLION,
    )
    volumes = {"nothing": 0.0, "100,000 calls": 1e5, "1 million calls": 1e6, "10 million": 1e7}
    bars(
        "cost-month",
        "A month, US dollars, by calls",
        {
            f"{who}, {name}": {"": sum(bill.values()) + count * each}
            for name, count in volumes.items()
            for who, bill, each in (("slipway", idle, per_call), ("server", server, 0.0))
        },
        "$",
    )
    save(
        "cost",
        {
            "runs": {name: {"transitions": run.transitions} for name, run in runs.items()},
            "polls": {name: run.polls for name, run in runs.items()},
            "million calls": calls,
            "thousands": stories,
            "idle": idle,
            "awake": awake,
            "server": server,
            "log line": line,
            "break even calls": even,
        },
    )


def _tell(title: str, bill: Bill) -> None:
    rows = [(name, f"{price:.4f}") for name, price in bill.items()]
    show(title, ("", "$"), [*rows, ("in all", f"{sum(bill.values()):.4f}")])


if __name__ == "__main__":
    main()
