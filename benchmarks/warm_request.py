"""Warm request: processor time of one request to a warm function, beside the peer's equivalent.

Both run in process, called as Lambda calls a handler and uvicorn an app, so neither pays for its
own HTTP. Each pays for the access to its database but not for the database's work, except that
SQLite works in the peer's process. DynamoDB is a server of canned answers, without TLS.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any

from benchmarks.shipped import DAILY, all_ready, recorded, shipped
from benchmarks.support import PYTHON, ROOT, bars, in_turn, postgres, ratio, save, show

ROUNDS = 12
TIMES = {"sign in": 3}
USUALLY = 60
AGAIN = [str(PYTHON), "-B", "-m", "benchmarks.again"]
BUDGETS = {
    ("get environment", "postgres"): 0.40,
    ("get environment", "sqlite"): 0.50,
    ("sign in", "sqlite"): 0.20,
}


@contextmanager
def batches(
    command: Sequence[str], environ: Mapping[str, str], times: int
) -> Iterator[Callable[[], Any]]:
    """A process that runs a batch of requests on demand and reports its time."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=dict(environ), **pipes) as process:
        assert process.stdin and process.stdout
        to, by = process.stdin, process.stdout
        # One after another, because the first creates the tables.
        assert by.readline() == "ready\n"

        def batch() -> Any:
            to.write(f"{times}\n")
            to.flush()
            return json.loads(by.readline())

        try:
            yield batch
        finally:
            process.kill()


def main(rounds: int = ROUNDS) -> None:
    asked = recorded(DAILY)
    with ExitStack() as stack:
        here = stack.enter_context(shipped())
        scratch = stack.enter_context(tempfile.TemporaryDirectory())
        databases = {"sqlite": f"sqlite:///{scratch}/peer.db"}
        if url := stack.enter_context(postgres()):
            databases["postgres"] = url
        else:
            print("PostgreSQL is not installed: the peer is measured only on SQLite.")
        running = {}
        for name, (command, environ) in stack.enter_context(all_ready(here, asked)).items():
            times = TIMES.get(name, USUALLY)
            ours = [*AGAIN, "lambda", *command[-2:]]
            environ = environ | {"PYTHONPATH": f"{environ['PYTHONPATH']}:{ROOT}"}
            running[name, "slipway"] = stack.enter_context(batches(ours, environ, times))
            for kind, url in databases.items():
                theirs = {
                    "PATH": environ["PATH"],
                    "PYTHONPATH": f"{ROOT}/benchmarks/peer:{ROOT}",
                    "DATABASE_URL": url,
                }
                asgi = [*AGAIN, "asgi", name]
                running[name, kind] = stack.enter_context(batches(asgi, theirs, times))
        # The first batch fills caches and is not counted.
        in_turn({"/".join(key): run for key, run in running.items()}, 1)
        found = in_turn({"/".join(key): run for key, run in running.items()}, rounds)
    tell(found, list(databases))
    save("warm_request", found)


def tell(found: Mapping[str, Sequence[Any]], databases: Sequence[str]) -> None:
    cpu = {key: [run["cpu"] for run in turns] for key, turns in found.items()}
    rows: list[list[object]] = []
    split: dict[str, dict[str, float]] = {}
    ratios: dict[str, dict[str, float]] = {}
    for name in DAILY:
        ours = cpu[f"{name}/slipway"]
        theirs = [cpu[f"{name}/{kind}"] for kind in databases]
        against = [ratio(ours, each) for each in theirs]
        rows.append([name, median(ours), *map(median, theirs), *against])
        for kind, times in zip(databases, against, strict=True):
            ratios[f"{name}, on {kind}"] = {"": times}
        runs = [run["parts"] for run in found[f"{name}/slipway"]]
        split[name] = {part: median(run.get(part, 0) for run in runs) for part in sorted(runs[0])}
    header = ["", "slipway µs", *(f"peer, {kind} µs" for kind in databases)]
    header += [f"× {kind}" for kind in databases]
    show(f"Warm request, medians of {len(next(iter(found.values())))} turns", header, rows)
    parts = sorted({part for each in split.values() for part in each})
    show(
        "How Slipway's processor time is spent, µs",
        ("", *parts),
        [(name, *(each.get(part, 0.0) for part in parts)) for name, each in split.items()],
    )
    bars("warm-request", "A warm request's processor time against the peer's", ratios, "×")
    bars(
        "warm-request-parts",
        "How a warm request's processor time is spent",
        {name: each for name, each in split.items() if name != "sign in"},
        "µs",
    )


if __name__ == "__main__":
    main()
