"""`make reconcile`: run reconciliation in each running platform now."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from local.platform import HERE, client


def main() -> int:
    """Invoke reconcile in every platform of this checkout. Returns 1 if none runs."""
    running = sorted(HERE.glob(".slipway/run-*/emulator.json"))
    for about in map(json.loads, map(Path.read_text, running)):
        functions = client(about["endpoint"], "lambda")
        answer = functions.invoke(
            FunctionName=about["outputs"]["ReconcileFunctionName"],
            # Include deadlines of the next 15 minutes, which would otherwise have to be waited for.
            Payload=json.dumps({"ahead_minutes": 15}),
        )
        print(f"{about['api_url']}  {answer['Payload'].read().decode()}")
    if not running:
        print("No platform runs here: start one with `make local`", file=sys.stderr)
    return 0 if running else 1


if __name__ == "__main__":
    sys.exit(main())
