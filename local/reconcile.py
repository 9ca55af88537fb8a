"""`make reconcile`: have each running platform look after what was left behind, now."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from local.platform import HERE, client


def main() -> int:
    """Ask every platform that runs from this checkout; 1 if there is none."""
    running = sorted(HERE.glob(".slipway/run-*/emulator.json"))
    for about in map(json.loads, map(Path.read_text, running)):
        functions = client(about["endpoint"], "lambda")
        answer = functions.invoke(
            FunctionName=about["outputs"]["ReconcileFunctionName"],
            # What is not due yet too: whoever asks does not want to wait.
            Payload=json.dumps({"ahead_minutes": 15}),
        )
        print(f"{about['api_url']}  {answer['Payload'].read().decode()}")
    if not running:
        print("No platform runs here: start one with `make local`", file=sys.stderr)
    return 0 if running else 1


if __name__ == "__main__":
    sys.exit(main())
