"""A Wait refuses a timestamp without an offset and one too far in the future.

Defect: the stock interpreter treats a timestamp without an offset, or any other text, as past, and
accepts any waiting time. See waits in tests/aws/fixtures.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

# The days in as many milliseconds as a signed number of 32 bits can hold.
LONGEST = timedelta(days=24_855)


def patch(module: Any) -> None:
    stock = module._jsonata_wait_timestamp

    def timestamp(state: Any, given: Any, context: Any) -> str:
        found: str = stock(state, given, context)
        moment = module._parse_ts(found)
        if moment.tzinfo is None:
            raise module._ExecutionError(
                "States.QueryEvaluationError",
                "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time"
                f" format string: {found}",
            )
        if moment - datetime.now(UTC) > LONGEST:
            raise module._ExecutionError("States.Runtime", "Wait state delay is too long.")
        return found

    module._jsonata_wait_timestamp = timestamp


TARGETS = {"ministack.services.stepfunctions": patch}
