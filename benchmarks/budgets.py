"""The budgets, and the check of the results against them."""

from __future__ import annotations

from typing import Any

from benchmarks import cold_start, cost, routes, warm_request
from benchmarks.support import ratio, save, saved, show

LAYER_MB = 45
LOG_LINE_BYTES = 600


def main() -> None:
    rows = [*_cold(), *_warm(), *_round_trips(), *_cost()]
    show(
        "Budgets",
        ("", "at most", "found", "met"),
        [(what, f"{most:g}", f"{found:.3g}", _said(met)) for what, most, found, met in rows],
    )
    save("budgets", rows)


Row = tuple[str, float, float, bool]


def _said(met: bool) -> str:
    return "yes" if met else "**no**"


def _row(what: str, most: float, found: float) -> Row:
    return what, most, found, found <= most


def _cold() -> list[Row]:
    saved_runs = saved("cold_start")
    cpu = {name: [run["cpu"] for run in runs] for name, runs in saved_runs["rounds"].items()}
    rows = []
    for name in cold_start.API:
        for other, most in cold_start.BUDGETS.items():
            found = ratio(cpu[name], cpu[other])
            rows.append(_row(f"cold start of `{name}` × the {other}'s", most, found))
    rows.append(_row("the layer unzipped, with bytecode, MB", LAYER_MB, saved_runs["layer MB"]))
    return rows


def _warm() -> list[Row]:
    cpu = {key: [run["cpu"] for run in runs] for key, runs in saved("warm_request").items()}
    return [
        _row(
            f"{name}, warm × the peer's on {kind}",
            most,
            ratio(cpu[f"{name}/slipway"], cpu[f"{name}/{kind}"]),
        )
        for (name, kind), most in warm_request.BUDGETS.items()
        if f"{name}/{kind}" in cpu
    ]


def _round_trips() -> list[Row]:
    found: dict[str, Any] = saved("round_trips")
    reads = {name: each for name, each in found.items() if each["route"].startswith("GET")}
    writes = {name: each for name, each in found.items() if name not in reads}
    scans = sum("Scan" in each["calls"] for each in found.values())
    return [
        *_deep("GET", routes.MOST["GET"], reads),
        *_deep("write", routes.MOST_OF_A_WRITE, writes),
        _row("routes that scan", 0, scans),
    ]


def _deep(kind: str, most: int, found: dict[str, Any]) -> list[Row]:
    """One line for all routes within the budget, and one for each that is not."""
    over = {name: each for name, each in found.items() if each["depth"] > most}
    rest = len(found) - len(over)
    return [
        (f"round trips of a {kind} ({rest} of {len(found)})", most, most, True),
        *(_row(f"… {name}", most, each["depth"]) for name, each in over.items()),
    ]


def _cost() -> list[Row]:
    found = saved("cost")
    totals = {name: sum(run["transitions"].values()) for name, run in found["runs"].items()}
    life = "an ephemeral environment's whole life"
    waiting = totals["waiting in the queue, for each of four"]
    return [
        _row(f"transitions of {life}", cost.TRANSITIONS["life"], totals[life]),
        _row("… polls in it", 1, found["polls"][life]),
        _row(
            "transitions of a straight rollout",
            cost.TRANSITIONS["rollout"],
            totals["a straight rollout"],
        ),
        _row("transitions of waiting in the queue", cost.TRANSITIONS["waiting"], waiting),
        _row("bytes of a request's log record", LOG_LINE_BYTES, found["log line"]),
        _row(
            "$ a month idle but for bytes, keys, alarms; to a cent",
            0,
            round(sum(price for line, price in found["idle"].items() if "reconcile" in line), 2),
        ),
        _row("$ a million calls", cost.PER_MILLION, sum(found["million calls"].values())),
    ]


if __name__ == "__main__":
    main()
