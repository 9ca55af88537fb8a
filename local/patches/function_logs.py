"""A worker's output is in one log stream, and old output is deleted.

Defects: the stock service creates a stream for each invocation, with a name that the function does
not know: `context.log_stream_name`, which custom resources report as the place to look, does not
exist. On AWS a stream belongs to an execution environment. Nothing is ever deleted, so that each
request costs the emulator 1.5 kB or more until it ends. Here a group keeps the newest streams, and
a stream the newest lines.
"""

import contextvars
import itertools
import threading
import time
from typing import Any

STREAMS = 200  # of each group
LINES = 1000  # of each stream

_creation_lock = threading.Lock()

# The log stream of the worker that this thread invoked last.
current: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="")


def patch(module: Any) -> None:
    """lambda_svc: after each invocation."""

    def emit(
        function: dict[str, Any],
        request_id: str,
        text: str,
        error: bool,
        milliseconds: int,
        **_: Any,
    ) -> None:
        from ministack.services import cloudwatch_logs

        config = function.get("config") or function
        default = f"/aws/lambda/{config['FunctionName']}"
        group = (config.get("LoggingConfig") or {}).get("LogGroup") or default
        version, name = config.get("Version", "$LATEST"), current.get()
        if not name:  # no worker was reached
            return
        now = int(time.time() * 1000)
        report = f"REPORT RequestId: {request_id}\tDuration: {milliseconds} ms\t"
        report += (
            f"Billed Duration: {milliseconds} ms\tMemory Size: {config.get('MemorySize', 128)} MB"
        )
        lines = [
            f"START RequestId: {request_id} Version: {version}",
            *text.splitlines(),
            f"END RequestId: {request_id}",
            report,
        ]
        events = [{"timestamp": now, "message": line} for line in lines]
        stream = _log_stream(cloudwatch_logs, group, name, now)
        stored = [event | {"ingestionTime": now} for event in events]
        cloudwatch_logs._append_log_events(stream, stored)
        del stream["events"][:-LINES]
        cloudwatch_logs._fanout_to_subscription_filters(group, name, events)

    module._emit_lambda_logs = emit


def _log_stream(logs: Any, group: str, name: str, now: int) -> dict[str, Any]:
    """The stream of a group. Both are created if they do not exist."""
    if group not in logs._log_groups:
        logs._log_groups[group] = {
            "arn": logs._make_group_arn(group),
            "creationTime": now,
            "retentionInDays": None,
            "tags": {},
            "subscriptionFilters": {},
            "streams": {},
        }
    streams: dict[str, dict[str, Any]] = logs._log_groups[group]["streams"]
    with _creation_lock:
        if name in streams:
            return streams[name]
        # Streams are in order of creation.
        for old in list(itertools.islice(streams, max(0, len(streams) + 1 - STREAMS))):
            del streams[old]
        streams[name] = {
            "events": [],
            "uploadSequenceToken": "1",
            "creationTime": now,
            "firstEventTimestamp": None,
            "lastEventTimestamp": None,
            "lastIngestionTime": None,
        }
    return streams[name]


TARGETS = {"ministack.services.lambda_svc": patch}
