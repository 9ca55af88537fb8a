"""`make reconcile`: run reconciliation in each running platform now."""

from __future__ import annotations

import json
import sys

from local import running


def main() -> int:
    """Invoke reconcile in every platform of this checkout. Returns 1 if none runs."""
    found = list(running.platforms())
    for each in found:
        answer = each.client("lambda").invoke(
            FunctionName=each.about["outputs"]["ReconcileFunctionName"],
            # Include deadlines of the next 15 minutes, which would otherwise have to be waited for.
            Payload=json.dumps({"ahead_minutes": 15}),
        )
        print(f"{each.about['api_url']}  {answer['Payload'].read().decode()}")
    if not found:
        print("No platform runs here: start one with `make local`", file=sys.stderr)
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
