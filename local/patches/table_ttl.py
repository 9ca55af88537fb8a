"""DynamoDB's TTL deletes within a second and says so in the table's stream.

Defect: the stock sweep runs once a minute and writes no stream record, so that nobody learns of the
deletion. On AWS the record is a REMOVE whose userIdentity is DynamoDB itself.
"""

import logging
import threading
import time
from typing import Any

EVERY = 1.0  # seconds
TOO_OLD = 5 * 365 * 86400  # DynamoDB leaves alone what expired more than five years ago
IDENTITY = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def patch(module: Any) -> None:
    # The stock sweep started with the import and cannot be stopped: it is made to delete nothing.
    [stock] = [thread for thread in threading.enumerate() if thread.name == "dynamodb-ttl-reaper"]
    stock_remove, stock_record = module._remove_item, module._build_change_record

    def remove(table: dict[str, Any], pk: str, sk: str) -> Any:
        return None if threading.current_thread() is stock else stock_remove(table, pk, sk)

    def record(*args: Any) -> dict[str, Any]:
        made: dict[str, Any] = stock_record(*args)
        if threading.current_thread() is sweeper:
            made["userIdentity"] = IDENTITY
        return made

    def overdue(item: dict[str, Any], attribute: str, now: float) -> bool:
        value = item.get(attribute, {}).get("N")
        return value is not None and now - TOO_OLD <= float(value) <= now

    def sweep() -> None:
        now = time.time()
        for (account, region, name), setting in list(module._ttl_settings.all_items()):
            if setting.get("TimeToLiveStatus") != "ENABLED":
                continue
            with module.request_scope(account, region), module._lock:
                table = module._tables.get(name)
                if table is None:
                    continue
                dead = [
                    (pk, sk)
                    for pk, items in table["items"].items()
                    for sk, item in items.items()
                    if overdue(item, setting["AttributeName"], now)
                ]
                for pk, sk in dead:
                    module._emit_stream_event(name, "REMOVE", remove(table, pk, sk), None)

    def keep_sweeping() -> None:
        while True:
            time.sleep(EVERY)
            try:
                sweep()
            except Exception:
                logging.getLogger(__name__).exception("TTL sweep")

    module._remove_item = remove
    module._build_change_record = record
    sweeper = threading.Thread(target=keep_sweeping, daemon=True, name="ttl")
    sweeper.start()
