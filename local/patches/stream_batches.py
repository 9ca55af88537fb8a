"""DynamoDB streams: a poison record does not block the stream.

Defect: the stock poller repeats a failing batch for ever. ReportBatchItemFailures,
BisectBatchOnFunctionError and MaximumRetryAttempts are ignored, so the OnFailure destination is
reached only by MaximumRecordAgeInSeconds.
"""

import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]
SLOWEST_RETRY = 5.0  # seconds


@dataclass
class Batch:
    """Records to deliver together, and how often they failed at the first one."""

    records: list[Record]
    failures: int = 0
    not_before: float = 0.0


def first_failed(records: list[Record], result: dict[str, Any], reports: bool) -> int | None:
    """The index of the first record that was not done; None when all were."""
    if result.get("error"):
        return 0
    body = result.get("body")
    failed = body.get("batchItemFailures") if reports and isinstance(body, dict) else None
    if not failed:
        return None
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    named = [item.get("itemIdentifier") for item in failed]
    # As on AWS, a name that is not in the batch means that none of it was done.
    return min(numbers.index(name) if name in numbers else 0 for name in named)


def after_failure(
    batch: Batch, failed: int, *, attempts: int | None, bisect: bool, reported: bool
) -> tuple[list[Batch], list[Record]]:
    """What to deliver next, and the records given up. `attempts` None repeats for ever."""
    rest = batch.records[failed:]
    failures = 1 if failed else batch.failures + 1
    if bisect and len(rest) > 1:
        cut = 1 if reported else len(rest) // 2
        return [Batch(rest[:cut], batch.failures), Batch(rest[cut:])], []
    if attempts is not None and failures > attempts:
        return [], rest
    pause = min(0.1 * 2.0**failures, SLOWEST_RETRY)
    return [Batch(rest, failures, time.monotonic() + pause)], []


def patch(module: Any) -> None:
    waiting: defaultdict[str, deque[Batch]] = defaultdict(deque)

    def fetch(mapping: dict[str, Any], table: str) -> bool:
        """Take the next records into `waiting`; whether there were any."""
        from ministack.services import dynamodb

        key = mapping["UUID"]
        start, end = dynamodb.stream_start_position(table), dynamodb.stream_end_position(table)
        with module._dynamodb_stream_positions_lock:
            first = start if mapping.get("StartingPosition") == "TRIM_HORIZON" else end
            position = max(module._dynamodb_stream_positions.get(key, first), start)
            records = dynamodb.stream_records_since(table, position, mapping.get("BatchSize", 100))
            module._dynamodb_stream_positions[key] = position + len(records)
        wanted = module._apply_filter_criteria(records, mapping)
        if wanted:
            waiting[key].append(Batch(wanted))
        return bool(records)

    def deliver(mapping: dict[str, Any], function: dict[str, Any]) -> bool:
        """Deliver one batch; whether anything was done."""
        batches = waiting[mapping["UUID"]]
        if batches[0].not_before > time.monotonic():
            return False
        batch = batches.popleft()
        result = module._execute_function(function, {"Records": batch.records})
        reports = "ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or [])
        failed = first_failed(batch.records, result, reports)
        if failed is None:
            mapping["LastProcessingResult"] = f"OK - {len(batch.records)} records"
            return True
        mapping["LastProcessingResult"] = "PROBLEM: Function call failed"
        attempts = int(mapping.get("MaximumRetryAttempts", -1))
        again, lost = after_failure(
            batch,
            failed,
            attempts=None if attempts < 0 else attempts,
            bisect=str(mapping.get("BisectBatchOnFunctionError")).lower() == "true",
            reported=not result.get("error"),
        )
        batches.extendleft(reversed(again))
        if lost:
            arn = mapping["EventSourceArn"]
            why = "RetryAttemptsExhausted"
            module._send_ddb_stream_failure_record(mapping, function, lost, arn, result, why)
        if again and again[0].not_before:
            pause = again[0].not_before - time.monotonic()
            wake = threading.Timer(max(0.0, pause), module._esm_wake.set)
            wake.daemon = True
            wake.start()
        return True

    def serve(mapping: dict[str, Any]) -> bool:
        from ministack.services import dynamodb

        arn = mapping.get("EventSourceArn", "")
        if ":dynamodb:" not in arn or not mapping.get("Enabled", True):
            return False
        table = arn.split("/")[1]
        function, _ = module._get_func_record_for_qualifier(
            mapping["FunctionName"], mapping.get("Qualifier")
        )
        if function is None or dynamodb._tables.get(table, {}).get("LatestStreamArn") != arn:
            return False
        fetched = not waiting[mapping["UUID"]] and fetch(mapping, table)
        return deliver(mapping, function) if waiting[mapping["UUID"]] else fetched

    def poll() -> bool:
        """Give every mapping one turn; True when there may be more to do at once."""
        from ministack.core.responses import request_scope

        done = False
        for account, region, mapping in module._iter_all_esms():
            with request_scope(account, region):
                done = serve(mapping) or done
        return done

    module._poll_dynamodb_streams = poll
