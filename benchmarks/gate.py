"""The gate: no function's start may take more instructions than before.

Processor time varies with the machine's load. The number of instructions that cachegrind counts,
from the start of the interpreter to the first answer, does not. `make gate` compares it with
benchmarks/instructions.json and fails at two per cent more; `make gate ARGS=--write` writes new
figures for this build of Python, to be committed with the change that explains them.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.shipped import FIRST, all_ready, recorded, shipped
from benchmarks.support import ROOT, show

COMMITTED = ROOT / "benchmarks/instructions.json"
MOST = 1.02
CACHEGRIND = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
# The figures depend on the compiler, libc and patch version of Python.
BUILD = f"{platform.python_version()} {platform.python_compiler()} {platform.machine()}"


def instructions(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """The number of instructions that the whole process executes."""
    run = subprocess.run([*CACHEGRIND, *command], env=dict(environ), capture_output=True, text=True)
    counted = re.search(r"I\s+refs:\s+([\d,]+)", run.stderr)
    if run.returncode or not counted:
        raise RuntimeError(run.stdout[-3000:] + run.stderr[-2000:])
    return int(counted[1].replace(",", ""))


def measured(names: Sequence[str] = tuple(FIRST)) -> dict[str, int]:
    """For each function, from the start of Python to its first answer."""
    asked = {name: request for name, request in recorded(FIRST).items() if name in names}
    with (
        shipped(Path(sys.prefix)) as here,
        all_ready(here, asked) as commands,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        counts = pool.map(lambda command: instructions(*command), commands.values())
        return dict(zip(commands, counts, strict=True))


def grown(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """The functions that take too many more, and those without a figure."""
    return [name for name in now if now[name] > MOST * before.get(name, 0)]


def main(words: Sequence[str]) -> int:
    if not shutil.which("valgrind"):
        return _skipped("There is no valgrind (Debian and Ubuntu: apt install valgrind)")
    committed = json.loads(COMMITTED.read_text())
    before = committed.get(BUILD, {})
    if "--write" not in words and not before:
        known = ", ".join(committed)
        return _skipped(f"{COMMITTED.name} has figures of {known}; this is {BUILD}")
    now = measured()
    rows = [
        (
            name,
            before.get(name, 0) / 1e6,
            count / 1e6,
            f"{count / before[name] - 1:+.2%}" if name in before else "new",
        )
        for name, count in now.items()
    ]
    show("Cold start, million instructions", ("", "committed", "now", "change"), rows)
    if "--write" in words:
        figures = committed | {BUILD: now}
        COMMITTED.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
        return 0
    if over := grown(before, now):
        print(f"\nMore instructions than allowed: {', '.join(over)}.")
        print("To accept them: make gate ARGS=--write")
    return int(bool(over))


def _skipped(why: str) -> int:
    print(f"\n{'!' * 80}\nTHE GATE IS SKIPPED. {why}\n{'!' * 80}\n", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
