"""DynamoDB streams: a poison record does not block the stream.

Defects: the stock poller repeats a failing batch for ever. ReportBatchItemFailures,
BisectBatchOnFunctionError and MaximumRetryAttempts are ignored, so the OnFailure destination is
reached only by MaximumRecordAgeInSeconds. ParallelizationFactor is ignored too: all of a table's
changes wait for each other. Every record is kept for a day, read or not, which fills the memory.
"""

import contextvars
import threading
import time
import zlib
from collections import deque
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]
SLOWEST_RETRY = 1.5  # seconds
KEPT = 1000  # records of each stream that stay, though all have read them


@dataclass
class Batch:
    """Records to deliver together, and how often they failed at the first one."""

    records: list[Record]
    failures: int = 0
    not_before: float = 0.0


@dataclass
class Lane:
    """What is delivered one after another. The changes of one item are in one lane."""

    waiting: deque[Batch] = field(default_factory=deque)
    busy: bool = False

    def add(self, record: Record, most: int) -> None:
        if not self.waiting or self.waiting[-1].failures or len(self.waiting[-1].records) >= most:
            self.waiting.append(Batch([]))
        self.waiting[-1].records.append(record)

    def begin(self) -> bool:
        """Whether somebody is needed to work here."""
        if self.busy or not self._is_time():
            return False
        self.busy = True
        return True

    def take(self) -> Batch | None:
        """The next batch for who works here; without one the work is over."""
        self.busy = self._is_time()
        return self.waiting.popleft() if self.busy else None

    def _is_time(self) -> bool:
        return bool(self.waiting) and self.waiting[0].not_before <= time.monotonic()


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
    lanes: dict[str, list[Lane]] = {}
    lock = threading.Lock()

    def fetch(mapping: dict[str, Any], table: str) -> bool:
        """Take the next records into their lanes; whether there were any."""
        from ministack.services import dynamodb

        key, size = mapping["UUID"], int(mapping.get("BatchSize", 100))
        start, end = dynamodb.stream_start_position(table), dynamodb.stream_end_position(table)
        with module._dynamodb_stream_positions_lock:
            first = start if mapping.get("StartingPosition") == "TRIM_HORIZON" else end
            position = max(module._dynamodb_stream_positions.get(key, first), start)
            records = dynamodb.stream_records_since(table, position, size)
            module._dynamodb_stream_positions[key] = position + len(records)
        mine = lanes_of(mapping)
        with lock:
            for record in module._apply_filter_criteria(records, mapping):
                item = zlib.crc32(repr(sorted(record["dynamodb"]["Keys"].items())).encode())
                mine[item % len(mine)].add(record, size)
        return bool(records)

    def forget(arn: str, table: str) -> None:
        """Drop what every mapping of the stream has fetched, but for the newest records."""
        from ministack.services import dynamodb

        readers = [each for _, _, each in module._iter_all_esms() if each["EventSourceArn"] == arn]
        positions = [module._dynamodb_stream_positions.get(each["UUID"], 0) for each in readers]
        records, gone = dynamodb._stream_records.get(table) or [], dynamodb._trimmed_count(table)
        spare = min(min(positions) - gone, len(records) - KEPT)
        if spare >= KEPT:  # seldom, for a list is cut at its beginning
            del records[:spare]
            dynamodb._stream_trimmed[table] = gone + spare

    def lanes_of(mapping: dict[str, Any]) -> list[Lane]:
        wanted = int(mapping.get("ParallelizationFactor") or 1)
        return lanes.setdefault(mapping["UUID"], [Lane() for _ in range(wanted)])

    def deliver(mapping: dict[str, Any], lane: Lane) -> None:
        """Deliver the lane's batches while there are any."""
        while batch := taken(lane):
            function, _ = function_of(mapping)
            try:
                result = module._execute_function(function, {"Records": batch.records})
            except Exception as error:  # such as a function that is gone
                result = {"error": True, "body": {"errorMessage": repr(error)}}
            again = settle(mapping, function, batch, result)
            with lock:
                lane.waiting.extendleft(reversed(again))
            if again and again[0].not_before:
                pause = again[0].not_before - time.monotonic()
                wake = threading.Timer(max(0.0, pause), module._esm_wake.set)
                wake.daemon = True
                wake.start()

    def taken(lane: Lane) -> Batch | None:
        with lock:
            return lane.take()

    def function_of(mapping: dict[str, Any]) -> Any:
        return module._get_func_record_for_qualifier(
            mapping["FunctionName"], mapping.get("Qualifier")
        )

    def settle(
        mapping: dict[str, Any], function: dict[str, Any], batch: Batch, result: dict[str, Any]
    ) -> list[Batch]:
        """What to deliver again; what is given up goes to the dead letters."""
        reports = "ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or [])
        failed = first_failed(batch.records, result, reports)
        if failed is None:
            mapping["LastProcessingResult"] = f"OK - {len(batch.records)} records"
            return []
        mapping["LastProcessingResult"] = "PROBLEM: Function call failed"
        attempts = int(mapping.get("MaximumRetryAttempts", -1))
        again, lost = after_failure(
            batch,
            failed,
            attempts=None if attempts < 0 else attempts,
            bisect=str(mapping.get("BisectBatchOnFunctionError")).lower() == "true",
            reported=not result.get("error"),
        )
        if lost:
            arn = mapping["EventSourceArn"]
            why = "RetryAttemptsExhausted"
            module._send_ddb_stream_failure_record(mapping, function, lost, arn, result, why)
        return again

    def serve(mapping: dict[str, Any]) -> bool:
        """Fetch what there is and see that each lane is worked at; whether there may be more."""
        from ministack.services import dynamodb

        arn = mapping.get("EventSourceArn", "")
        if ":dynamodb:" not in arn or not mapping.get("Enabled", True):
            return False
        table = arn.split("/")[1]
        function, _ = function_of(mapping)
        if function is None or dynamodb._tables.get(table, {}).get("LatestStreamArn") != arn:
            return False
        fetched = fetch(mapping, table)
        forget(arn, table)
        for lane in lanes_of(mapping):
            with lock:
                begins = lane.begin()
            if begins:
                run = contextvars.copy_context().run
                arguments = (deliver, mapping, lane)
                threading.Thread(target=run, args=arguments, daemon=True).start()
        return fetched

    def poll() -> bool:
        """Give every mapping one turn; True when there may be more to do at once."""
        from ministack.core.responses import request_scope

        done = False
        for account, region, mapping in module._iter_all_esms():
            with request_scope(account, region):
                done = serve(mapping) or done
        return done

    module._poll_dynamodb_streams = poll
