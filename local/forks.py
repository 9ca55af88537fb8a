"""Workers that are forked from a process that has imported the handler.

A new worker process takes half a second of processor time and 50 MB. Fifty requests that come to
wait at once would take both fifty times. A *nursery* is a process that imports the handler and then
only forks: its children start at once and share its memory. It has served no request, so that they
inherit no connection.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

SECONDS = 10.0  # for a child to connect
ENDED = 2.0  # for a child to end that was told to


class Forked:
    """A child of a nursery, with the methods of subprocess.Popen that workers need."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._signal = 0

    def poll(self) -> int | None:
        """None while it runs. The kernel reaps it, so its own exit code is not known."""
        if self.returncode is None:
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                self.returncode = -self._signal or 1
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, a signal's if it does not end in time."""
        until = time.monotonic() + min(timeout or ENDED, ENDED)
        while self.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        if self.returncode is None:
            self.returncode = -signal.SIGKILL
        return self.returncode

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            self._signal = number
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Nursery:
    """A process of local/runtime.py that forks, as `start` has started it.

    `start` fills in `channel`, `stream` and `_proc` of the object that it is given, and returns the
    process's first answer: {"ok": true} or {"error": ..}.
    """

    def __init__(self, worker: Any) -> None:
        self.config, self.code_zip = worker.config, worker.code_zip
        self._lock = threading.Lock()
        self.channel: Any = None
        self.stream: Any = None
        self.lines: Any = None
        self.log_stream = ""
        self._proc: Any = None

    def serves(self, worker: Any) -> bool:
        """Whether the worker has the same function, and the process runs."""
        same = self.config == worker.config and self.code_zip == worker.code_zip
        return same and self._proc is not None and self._proc.poll() is None

    def fork(self, environ: dict[str, str]) -> tuple[Forked, socket.socket, IO[bytes]]:
        """A child, the socket for its calls, and its output. Raises OSError."""
        folder = Path(tempfile.mkdtemp(prefix="fork-"))
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(folder / "s"))
                listener.listen(2)
                listener.settimeout(SECONDS)
                message = {"socket": str(folder / "s"), "environ": environ}
                with self._lock:
                    self.stream.write(json.dumps(message).encode() + b"\n")
                    self.stream.flush()
                calls, _ = listener.accept()
                output, _ = listener.accept()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        calls.settimeout(SECONDS)
        lines = output.makefile("rb")
        return Forked(int(lines.readline())), calls, lines
