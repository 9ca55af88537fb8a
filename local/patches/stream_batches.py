"""DynamoDB streams: a poison record does not block the stream.

Defects: the stock poller retries a failing batch for ever. It ignores ReportBatchItemFailures,
BisectBatchOnFunctionError and MaximumRetryAttempts, so only MaximumRecordAgeInSeconds sends records
to the OnFailure destination. It also ignores ParallelizationFactor, so that all changes to a table
are delivered one after another, and keeps every record for a day, which fills the memory.
"""

import contextvars
import threading
import time
import zlib
from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Record = dict[str, Any]
SLOWEST_RETRY = 1.5  # seconds
KEPT = 1000  # records that each stream keeps after all its mappings have read them


@dataclass
class Batch:
    """Records that are delivered together. `failures` counts the failures at the first record."""

    records: list[Record]
    failures: int = 0
    not_before: float = 0.0


@dataclass
class Lane:
    """Batches that are delivered in order. All changes to one item are in one lane."""

    waiting: deque[Batch] = field(default_factory=deque)
    busy: bool = False
    delivering: Batch | None = None

    def add(self, record: Record, most: int) -> None:
        if not self.waiting or self.waiting[-1].failures or len(self.waiting[-1].records) >= most:
            self.waiting.append(Batch([]))
        self.waiting[-1].records.append(record)

    def begin(self) -> bool:
        """Return whether the lane needs a new thread, and reserve the lane for it."""
        if self.busy or not self._is_due():
            return False
        self.busy = True
        return True

    def take(self) -> Batch | None:
        """Return the thread's next batch. None ends the thread's work on the lane."""
        self.busy = self._is_due()
        self.delivering = self.waiting.popleft() if self.busy else None
        return self.delivering

    def undelivered(self) -> list[Record]:
        """The records that no function has processed yet."""
        batches = [*([self.delivering] if self.delivering else []), *self.waiting]
        return [record for batch in batches for record in batch.records]

    def _is_due(self) -> bool:
        return bool(self.waiting) and self.waiting[0].not_before <= time.monotonic()


def first_failed(records: list[Record], result: dict[str, Any], reports: bool) -> int | None:
    """The index of the first record that failed; None if all succeeded."""
    if result.get("error"):
        return 0
    body = result.get("body")
    failed = body.get("batchItemFailures") if reports and isinstance(body, dict) else None
    if not failed:
        return None
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    named = [item.get("itemIdentifier") for item in failed]
    # As on AWS, an identifier that is not in the batch fails the whole batch.
    return min(numbers.index(name) if name in numbers else 0 for name in named)


def after_failure(
    batch: Batch, failed: int, *, attempts: int | None, bisect: bool, reported: bool
) -> tuple[list[Batch], list[Record]]:
    """The batches to deliver next, and the abandoned records. `attempts` None retries for ever."""
    rest = batch.records[failed:]
    failures = 1 if failed else batch.failures + 1
    if bisect and len(rest) > 1:
        cut = 1 if reported else len(rest) // 2
        return [Batch(rest[:cut], batch.failures), Batch(rest[cut:])], []
    if attempts is not None and failures > attempts:
        return [], rest
    pause = min(0.1 * 2.0**failures, SLOWEST_RETRY)
    return [Batch(rest, failures, time.monotonic() + pause)], []


class Poller:
    """Delivers the records of DynamoDB streams to the functions of their event source mappings."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self._lanes: dict[str, list[Lane]] = {}
        self._lock = threading.Lock()

    @cached_property
    def dynamodb(self) -> Any:
        from ministack.services import dynamodb

        return dynamodb

    def poll(self) -> bool:
        """Serve each mapping once. Returns whether more records may be waiting."""
        from ministack.core.responses import request_scope

        more = False
        for account, region, mapping in self.module._iter_all_esms():
            with request_scope(account, region):
                more = self._serve(mapping) or more
        return more

    def _serve(self, mapping: dict[str, Any]) -> bool:
        """Fetch the mapping's next records and start a thread for each lane that needs one."""
        arn = mapping.get("EventSourceArn", "")
        if ":dynamodb:" not in arn or not mapping.get("Enabled", True):
            return False
        table = arn.split("/")[1]
        stream = self.dynamodb._tables.get(table, {}).get("LatestStreamArn")
        if self._function(mapping) is None or stream != arn:
            return False
        fetched = self._fetch(mapping, table)
        self._trim(arn, table)
        for lane in self._lanes_of(mapping):
            with self._lock:
                begins = lane.begin()
            if begins:
                run = contextvars.copy_context().run
                arguments = (self._deliver, mapping, lane)
                threading.Thread(target=run, args=arguments, daemon=True).start()
        return fetched

    def _fetch(self, mapping: dict[str, Any], table: str) -> bool:
        """Put the next records into their lanes. Returns whether there were any."""
        key, size = mapping["UUID"], int(mapping.get("BatchSize", 100))
        start = self.dynamodb.stream_start_position(table)
        end = self.dynamodb.stream_end_position(table)
        with self.module._dynamodb_stream_positions_lock:
            first = start if mapping.get("StartingPosition") == "TRIM_HORIZON" else end
            position = max(self.module._dynamodb_stream_positions.get(key, first), start)
            records = self.dynamodb.stream_records_since(table, position, size)
            lanes = self._lanes_of(mapping)
            with self._lock:
                for record in self.module._apply_filter_criteria(records, mapping):
                    item = zlib.crc32(repr(sorted(record["dynamodb"]["Keys"].items())).encode())
                    lanes[item % len(lanes)].add(record, size)
            # Last: a save between the two must not lose the records.
            self.module._dynamodb_stream_positions[key] = position + len(records)
        return bool(records)

    def undelivered_positions(self) -> dict[Any, int]:
        """For each mapping, the position of the first record that its function has not processed.

        It takes no lock, because a save calls it in a copy of the process.
        """
        return {
            (account, region, key): min(position, self._first_undelivered(account, region, key))
            for (account, region, key), position in (
                self.module._dynamodb_stream_positions._data.items()
            )
        }

    def _first_undelivered(self, account: str, region: str, key: str) -> float:
        mapping = self.module._esms._data.get((account, region, key))
        waiting = {
            record["dynamodb"]["SequenceNumber"]
            for lane in self._lanes.get(key, [])
            for record in lane.undelivered()
        }
        if not mapping or not waiting:
            return float("inf")
        table = mapping["EventSourceArn"].split("/")[1]
        records = self.dynamodb._stream_records._data.get((account, region, table), [])
        trimmed: int = self.dynamodb._stream_trimmed._data.get((account, region, table), 0)
        numbers = (record["dynamodb"]["SequenceNumber"] for record in records)
        found = (index for index, number in enumerate(numbers) if number in waiting)
        return trimmed + next(found, 0)

    def _trim(self, arn: str, table: str) -> None:
        """Delete records that every mapping of the stream has fetched, except the newest."""
        positions = [
            self.module._dynamodb_stream_positions.get(mapping["UUID"], 0)
            for _, _, mapping in self.module._iter_all_esms()
            if mapping["EventSourceArn"] == arn
        ]
        records = self.dynamodb._stream_records.get(table) or []
        trimmed = self.dynamodb._trimmed_count(table)
        spare = min(min(positions) - trimmed, len(records) - KEPT)
        if spare >= KEPT:  # deleting from the beginning of a list is slow, so it is done seldom
            del records[:spare]
            self.dynamodb._stream_trimmed[table] = trimmed + spare

    def _lanes_of(self, mapping: dict[str, Any]) -> list[Lane]:
        count = int(mapping.get("ParallelizationFactor") or 1)
        return self._lanes.setdefault(mapping["UUID"], [Lane() for _ in range(count)])

    def _function(self, mapping: dict[str, Any]) -> Any:
        function, _ = self.module._get_func_record_for_qualifier(
            mapping["FunctionName"], mapping.get("Qualifier")
        )
        return function

    def _deliver(self, mapping: dict[str, Any], lane: Lane) -> None:
        """Deliver the lane's batches until it has none that is due."""
        while batch := self._take(lane):
            function = self._function(mapping)
            try:
                result = self.module._execute_function(function, {"Records": batch.records})
            except Exception as error:  # for example, the function was deleted
                result = {"error": True, "body": {"errorMessage": repr(error)}}
            again = self._settle(mapping, function, batch, result)
            with self._lock:
                lane.waiting.extendleft(reversed(again))
                lane.delivering = None
            if again and again[0].not_before:
                pause = again[0].not_before - time.monotonic()
                wake = threading.Timer(max(0.0, pause), self.module._esm_wake.set)
                wake.daemon = True
                wake.start()

    def _take(self, lane: Lane) -> Batch | None:
        with self._lock:
            return lane.take()

    def _settle(
        self,
        mapping: dict[str, Any],
        function: dict[str, Any],
        batch: Batch,
        result: dict[str, Any],
    ) -> list[Batch]:
        """Return the batches to deliver again; send abandoned records to the OnFailure target."""
        reports = "ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or [])
        failed = first_failed(batch.records, result, reports)
        if failed is None:
            mapping["LastProcessingResult"] = f"OK - {len(batch.records)} records"
            return []
        mapping["LastProcessingResult"] = "PROBLEM: Function call failed"
        attempts = int(mapping.get("MaximumRetryAttempts", -1))
        again, abandoned = after_failure(
            batch,
            failed,
            attempts=None if attempts < 0 else attempts,
            bisect=str(mapping.get("BisectBatchOnFunctionError")).lower() == "true",
            reported=not result.get("error"),
        )
        if abandoned:
            arn, condition = mapping["EventSourceArn"], "RetryAttemptsExhausted"
            self.module._send_ddb_stream_failure_record(
                mapping, function, abandoned, arn, result, condition
            )
        return again


_pollers: list[Poller] = []


def undelivered_positions() -> dict[Any, int]:
    """Where each mapping must read on after a restart, so that no record is lost."""
    return _pollers[-1].undelivered_positions()


def patch(module: Any) -> None:
    _pollers.append(Poller(module))
    module._poll_dynamodb_streams = _pollers[-1].poll


TARGETS = {"ministack.services.lambda_svc": patch}
