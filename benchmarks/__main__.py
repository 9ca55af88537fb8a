"""`make bench`: run all benchmarks in turn and write their results to docs/performance.md."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time

from benchmarks.support import publish

# Each reads the results that earlier ones have saved.
SUBJECTS = (
    "round_trips",
    "cold_start",
    "warm_request",
    "cost",
    "memory",
    "growth",
    "retention",
    "end_to_end",
    "budgets",
)


def main() -> None:
    if sys.argv[1:]:
        [subject] = sys.argv[1:]
        importlib.import_module(f"benchmarks.{subject}").main()
        publish(subject)
        return
    for subject in SUBJECTS:
        began = time.monotonic()
        print(f"\n── {subject} {'─' * (76 - len(subject))}", flush=True)
        # Each runs in a process of its own, because functions keep state.
        command = [sys.executable, "-m", "benchmarks", subject]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": "layers/core"})
        print(f"\n{subject} took {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
