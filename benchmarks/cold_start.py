"""Cold start: the time to import each function and to answer its first request.

The runs are whole processes, in turn: the bare interpreter, each function with its layer's
bytecode, one without, a naive handler that does the same as `environments`, and the import of the
peer's `app.main`. A server on 127.0.0.1 gives canned DynamoDB answers over TLS.
"""

from __future__ import annotations

import compileall
import json
import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from statistics import median

from benchmarks.shipped import FIRST, Request, all_ready, recorded, shipped
from benchmarks.support import ROOT, bars, in_turn, ratio, save, show, spent

ROUNDS = 12
API = (
    *("auth", "people", "projects", "templates", "environments", "inspection", "deployments"),
    *("configuration", "confirmations", "promotions", "runtime", "console", "docs"),
)
# Compared with the peer's import and with the naive handler.
BUDGETS = {"peer": 0.45, "naive": 0.50}
# On Lambda the X-Ray SDK is loaded only if it traces something.
TRACED = {
    "LAMBDA_TASK_ROOT": "/var/task",
    "_X_AMZN_TRACE_ID": "Root=1-69226e4b-0123456789abcdef01234567;Sampled=1",
    "POWERTOOLS_METRICS_NAMESPACE": "Slipway",
}


def main(rounds: int = ROUNDS) -> None:
    asked = recorded(FIRST)
    # It reads each item with a call of its own, one after another.
    asked["naive"] = replace(asked["environments"], folder="../naive", answers=_naive(asked))
    with shipped() as here, tempfile.TemporaryDirectory() as database:
        shutil.copytree(ROOT / "benchmarks/naive", here.place / "naive")
        plain = unpacked_without_bytecode(here.place)
        with all_ready(here, asked, tls=True) as commands:
            command, environ = commands["environments"]
            commands["without bytecode"] = (
                command,
                {**environ, "PYTHONPATH": f"{plain}:{environ['PYTHONPATH']}"},
            )
            command, environ = commands["naive"]
            commands["naive"] = (command, environ | TRACED)
            commands["peer"] = (
                [*here.python[:-1], "-c", "import app.main"],
                {
                    "PATH": environ["PATH"],
                    "PYTHONPATH": f"{ROOT}/benchmarks/peer:{here.path}",
                    "DATABASE_URL": f"sqlite:///{database}/peer.db",
                },
            )
            commands["python"] = ([*here.python, "-c", "pass"], {"PATH": environ["PATH"]})
            runs = {name: partial(spent, *command) for name, command in commands.items()}
            # One run warms the machine up and writes the peer's bytecode and tables.
            in_turn(runs, 1)
            found = in_turn(runs, rounds)
            breakdown = imports(*commands["environments"])
            megabytes = unzipped(plain)
    tell(
        {name: [run.cpu for run in turns] for name, turns in found.items()},
        {name: median(run.wall for run in turns) for name, turns in found.items()},
        breakdown,
    )
    save(
        "cold_start",
        {
            "rounds": {name: [asdict(run) for run in turns] for name, turns in found.items()},
            "imports": breakdown,
            "layer MB": megabytes,
        },
    )


def _naive(asked: Mapping[str, Request]) -> dict[str, str]:
    """Answers to GetItem from those to a BatchGetItem, each with the same item."""
    answers = dict(asked["environments"].answers)
    [items] = json.loads(answers.pop("BatchGetItem"))["Responses"].values()
    item = next(item for item in items if item["sk"]["S"].startswith("ENV#"))
    return answers | {"GetItem": json.dumps({"Item": item})}


def unpacked_without_bytecode(place: Path) -> Path:
    """The layer without any bytecode, as some installers leave it."""
    plain = place / "plain"
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(place / "opt", plain, ignore=skip)
    lock = (ROOT / "layers/core/requirements.lock").read_text()
    for name in re.findall(r"^([a-z0-9-]+)==", lock, re.M):
        for file in metadata.files(name) or ():
            if file.suffix != ".pyc" and not file.parts[0].startswith((".", "__")):
                (plain / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), plain / file)
    return plain


def unzipped(layer: Path) -> float:
    """The layer's size in megabytes, with bytecode."""
    compileall.compile_dir(layer, quiet=2, workers=0)
    return sum(file.stat().st_size for file in layer.rglob("*") if file.is_file()) / 1e6


def imports(command: Sequence[str], environ: Mapping[str, str]) -> dict[str, float]:
    """Milliseconds that each package's own modules take to import, the longest first.

    Each is the least of five runs. The measurement itself adds about half.
    """
    python, *rest = command
    told = [python, "-X", "importtime", *rest]
    found: dict[str, float] = {}
    for _ in range(5):
        run = subprocess.run(told, env=environ, capture_output=True, text=True, check=True)
        once: dict[str, float] = defaultdict(float)
        for own, module in re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", run.stderr):
            once[module.partition(".")[0]] += int(own) / 1000
        found = {name: min(ms, found.get(name, ms)) for name, ms in once.items()}
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def tell(
    cpu: Mapping[str, Sequence[float]], wall: Mapping[str, float], breakdown: Mapping[str, float]
) -> None:
    rows = [
        (
            name,
            median(turns),
            wall[name],
            ratio(turns, cpu["peer"]),
            ratio(turns, cpu["naive"]),
        )
        for name, turns in cpu.items()
    ]
    show(
        f"Cold start, medians of {len(cpu['peer'])} turns",
        ("", "cpu ms", "wall ms", "× peer", "× naive"),
        rows,
    )
    most = list(breakdown.items())[:14]
    rest = sum(list(breakdown.values())[14:])
    show(
        "What `environments` imports, ms by package (python -X importtime)",
        ("package", "ms"),
        [*most, ("all others", rest)],
    )
    bars(
        "cold-start",
        "Cold start, processor time against the peer's import (dashed: the budget)",
        {name: {"": ratio(turns, cpu["peer"])} for name, turns in cpu.items()},
        "×",
        BUDGETS["peer"],
    )
    bars(
        "cold-start-imports",
        "What `environments` imports, by package",
        {name: {"": ms} for name, ms in [*most, ("all others", rest)]},
        "ms",
    )


if __name__ == "__main__":
    main()
