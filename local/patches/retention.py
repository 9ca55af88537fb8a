"""The emulator's memory is bounded: old records go, as they go on AWS after some time.

Defect: the stock services keep the history of every execution, every event, metric and deleted
stack until they end. On AWS these go after 24 hours to 15 months; here they go by number, so that a
load test does not fill a laptop. The numbers are in KEPT. Function logs (function_logs.py) and the
records of streams (stream_batches.py) have limits of their own.
"""

import logging
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

EVERY = 5.0  # seconds
SERVICES = "ministack.services."
Content = dict[Any, Any]


@dataclass(frozen=True)
class Kept:
    """How many of each are kept: the newest."""

    histories: int = 1000  # of ended executions; of older ones the first and the last event
    executions: int = 10_000  # that have ended
    deleted_stacks: int = 100
    events: int = 100  # that were put on a bus: nothing reads them any more
    datapoints: int = 2000  # of each metric
    metrics: int = 2000
    alarm_changes: int = 1000
    mails: int = 100


KEPT = Kept()


def trim_executions(executions: Content, kept: Kept) -> None:
    """Executions are in the order of their start."""
    ended = [arn for arn, each in list(executions.items()) if each["status"] != "RUNNING"]
    for arn in ended[: -kept.executions]:
        executions.pop(arn, None)
    for arn in ended[-kept.executions : -kept.histories]:
        execution = executions[arn]
        if len(execution["events"]) > 2:
            execution["events"] = [execution["events"][0], execution["events"][-1]]


def trim_stacks(stacks: Content, events: Content, kept: Kept) -> None:
    """Delete the oldest deleted stacks, with the events of stacks that are no more."""
    gone = [key for key, each in list(stacks.items()) if each["StackStatus"] == "DELETE_COMPLETE"]
    gone.sort(key=lambda key: stacks[key].get("DeletionTime") or stacks[key]["LastUpdatedTime"])
    for key in gone[: -kept.deleted_stacks]:
        stacks.pop(key, None)
    # A later stack of the same name takes the place of a deleted one, whose events remain.
    living = {each["StackId"] for each in list(stacks.values())}
    orphans = [key for key in list(events) if key[-1] not in living]
    for key in orphans[: -kept.deleted_stacks]:
        events.pop(key, None)


def trim_metrics(metrics: Content, kept: Kept) -> None:
    for points in list(metrics.values()):
        del points[: -kept.datapoints]
    for key in list(metrics)[: -kept.metrics]:  # in the order of their first datapoint
        metrics.pop(key, None)


def trim_entries(lists: Content, most: int) -> None:
    """Trim a store that has one list for each account and region."""
    for entries in list(lists.values()):
        del entries[:-most]


def trim(kept: Kept = KEPT) -> None:
    """Trim the stores of all services that are in use."""
    for executions in _contents("stepfunctions", "_executions"):
        trim_executions(executions, kept)
    for stacks in _contents("cloudformation", "_stacks"):
        for events in _contents("cloudformation", "_stack_events"):
            trim_stacks(stacks, events, kept)
    for metrics in _contents("cloudwatch", "_metrics"):
        trim_metrics(metrics, kept)
    for service, name, most in (
        ("cloudwatch", "_alarm_history", kept.alarm_changes),
        ("eventbridge", "_events_log", kept.events),
        ("ses", "_sent_emails", kept.mails),
    ):
        for lists in _contents(service, name):
            trim_entries(lists, most)


def _contents(service: str, name: str) -> Iterable[Content]:
    """The content of a store; nothing if its service is not in use."""
    store = getattr(sys.modules.get(SERVICES + service), name, None)
    return [] if store is None else [store._data]


def _run() -> None:
    while True:
        time.sleep(EVERY)
        try:
            trim()
        except Exception:
            logging.getLogger(__name__).exception("Trimming")


def patch(module: Any) -> None:
    """dynamodb: it is always in use, so one thread is enough."""
    threading.Thread(target=_run, daemon=True, name="retention").start()


TARGETS = {"ministack.services.dynamodb": patch}
