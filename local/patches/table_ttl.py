"""DynamoDB's TTL deletes within a second and reports it in the table's stream.

Defect: the stock sweep runs once a minute and writes no stream record, so no function is told of
the deletion. On AWS the record is a REMOVE whose userIdentity is DynamoDB itself.
"""

import logging
import threading
import time
from typing import Any

EVERY = 1.0  # seconds
TOO_OLD = 5 * 365 * 86400  # DynamoDB ignores a time that is more than five years in the past
IDENTITY = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


class Sweeper:
    """A thread that deletes expired items. It replaces the stock sweep.

    The stock sweep started with the import and cannot be stopped; its deletions do nothing.
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self._remove, self._record = module._remove_item, module._build_change_record
        [self._stock] = [
            thread for thread in threading.enumerate() if thread.name == "dynamodb-ttl-reaper"
        ]
        self._thread = threading.Thread(target=self._run, daemon=True, name="ttl")

    def start(self) -> None:
        self.module._remove_item = self.remove
        self.module._build_change_record = self.record
        self._thread.start()

    def remove(self, table: dict[str, Any], pk: str, sk: str) -> Any:
        stock = threading.current_thread() is self._stock
        return None if stock else self._remove(table, pk, sk)

    def record(self, *args: Any) -> dict[str, Any]:
        record: dict[str, Any] = self._record(*args)
        if threading.current_thread() is self._thread:
            record["userIdentity"] = IDENTITY
        return record

    def _run(self) -> None:
        while True:
            time.sleep(EVERY)
            try:
                self._sweep()
            except Exception:
                logging.getLogger(__name__).exception("TTL sweep")

    def _sweep(self) -> None:
        now = time.time()
        for (account, region, name), setting in list(self.module._ttl_settings.all_items()):
            if setting.get("TimeToLiveStatus") != "ENABLED":
                continue
            with self.module.request_scope(account, region), self.module._lock:
                if table := self.module._tables.get(name):
                    self._sweep_table(name, table, setting["AttributeName"], now)

    def _sweep_table(self, name: str, table: dict[str, Any], attribute: str, now: float) -> None:
        expired = [
            (pk, sk)
            for pk, items in table["items"].items()
            for sk, item in items.items()
            if is_expired(item, attribute, now)
        ]
        for pk, sk in expired:
            self.module._emit_stream_event(name, "REMOVE", self.remove(table, pk, sk), None)


def is_expired(item: dict[str, Any], attribute: str, now: float) -> bool:
    value = item.get(attribute, {}).get("N")
    return value is not None and now - TOO_OLD <= float(value) <= now


def patch(module: Any) -> None:
    Sweeper(module).start()


TARGETS = {"ministack.services.dynamodb": patch}
