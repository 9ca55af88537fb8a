"""Saves the emulator's data every half minute, and when it ends.

A save is made by a copy of the process (fork), which has the stores as they were at one moment:
between two steps of the event loop and of any transaction. Requests wait only while the process is
copied. It runs inside the emulator's process.
"""

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from local import kept, stores
from local.patches import EMULATOR

LONGEST = 60.0  # seconds for the last save


def origins() -> dict[str, str]:
    """The URLs of this run that the stores name, by purpose."""
    ports = {
        "aws": "GATEWAY_PORT",
        "api": "SLIPWAY_PORT",
        "environments": "SLIPWAY_ENVIRONMENTS_PORT",
    }
    return {purpose: f"http://127.0.0.1:{os.environ[name]}" for purpose, name in ports.items()}


def load(path: Path) -> None:
    """Fill the stores from a file. Raises kept.Unreadable."""
    about, content = kept.read(path)
    now = origins()
    stores.restore(content, {old: now[name] for name, old in about.origins.items() if name in now})


@dataclass
class Saver:
    """Saves to `folder` every `every` seconds in which something may have changed.

    changes  a number that grows with every request
    lock     the file descriptor of the data's lock, which a save holds until it is on disk
    """

    folder: Path
    every: float
    lock: int
    loop: asyncio.AbstractEventLoop
    changes: Callable[[], int]

    def __post_init__(self) -> None:
        self._saved = -1
        self._one = threading.Lock()
        self._ended = threading.Event()
        self._armed = False

    def start(self) -> None:
        """Begin to save. Only now the data is worth it: the stack is complete."""
        if not self._armed:
            self._armed = True
            threading.Thread(target=self._run, daemon=True, name="saver").start()

    def finish(self) -> None:
        """Save a last time, if saving had begun."""
        self._ended.set()
        if self._armed:
            self.save()

    def save(self) -> None:
        """Save now. A failure is shown in the terminal, and what was saved before remains."""
        with self._one:
            changes = self.changes()
            made: concurrent.futures.Future[int] = concurrent.futures.Future()
            self.loop.call_soon_threadsafe(self._copy, made)
            try:
                _, status = os.waitpid(made.result(LONGEST), 0)
            except (OSError, concurrent.futures.TimeoutError) as error:
                return _tell(repr(error))
            if status == 0:
                self._saved = changes
            else:
                _tell("see emulator.log")

    def _run(self) -> None:
        while not self._ended.wait(self.every):
            if self.changes() != self._saved or _is_working():
                self.save()

    def _copy(self, made: "concurrent.futures.Future[int]") -> None:
        """Copy the process, on the event loop: no stack or request is in the middle of a step."""
        from ministack.services import dynamodb

        with dynamodb._lock:
            try:
                child = os.fork()
            except OSError as error:  # no memory
                made.set_exception(error)
                return
            if child == 0:
                self._write()
        made.set_result(child)

    def _write(self) -> None:
        """Write the data in the copy, where only this thread lives, and end it."""
        failed = 1
        with contextlib.suppress(BaseException):
            # A peer that waits for a connection's end must not wait for this process.
            os.closerange(3, self.lock)
            os.closerange(self.lock + 1, os.sysconf("SC_OPEN_MAX"))
            if not self._ended.is_set():
                os.nice(10)
            failed = self._try_to_write()
        os._exit(failed)

    def _try_to_write(self) -> int:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            kept.write(self.folder, stores.captured(), EMULATOR, now, origins())
        except Exception as error:
            os.write(2, f"Saving the data: {error!r}\n".encode())
            return 1
        return 0


def _is_working() -> bool:
    """Whether executions run, which change data without a request."""
    from ministack.services import stepfunctions

    running = list(stepfunctions._executions._data.values())
    return any(each["status"] == "RUNNING" for each in running)


def _tell(why: str) -> None:
    print(f"! the data could not be saved: {why}", flush=True)
