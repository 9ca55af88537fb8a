"""No patch: what an execution's threads look at, to stop when the execution or branch has ended."""

import contextvars
import threading
from collections.abc import Callable


class Stopped(BaseException):
    """The execution or branch that runs here has ended. No Catch or Retry of its states sees it."""


class Scope:
    """An execution, or a branch of one: ended once, and with it everything in it."""

    def __init__(self, parent: "Scope | None" = None) -> None:
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], object]] = []
        if parent:
            parent.on_end(self.end)

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def end(self) -> None:
        with self._lock:
            self._ended.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_end(self, callback: Callable[[], object]) -> None:
        """Call it when this ends; now, if it has."""
        with self._lock:
            if not self._ended.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def wait(self, seconds: float) -> bool:
        """Wait, at most so long, until this ends; whether it has."""
        return self._ended.wait(seconds)


# Threads of a branch or a task begin with a copy of their parent's.
current: contextvars.ContextVar[Scope | None] = contextvars.ContextVar("scope", default=None)


def check() -> None:
    """Stopped if what runs here has ended."""
    scope = current.get()
    if scope and scope.ended:
        raise Stopped
