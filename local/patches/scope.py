"""No patch: the scopes by which threads stop when their execution or branch has ended."""

import contextvars
import threading
from collections.abc import Callable


class Stopped(BaseException):
    """The current execution or branch has ended. Catch and Retry do not see this error."""


class Scope:
    """An execution, or a branch of one. Ending it ends everything in it."""

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
        """Call `callback` when the scope ends; at once if it has ended."""
        with self._lock:
            if not self._ended.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds` for the scope to end. Returns whether it has."""
        return self._ended.wait(seconds)


# The threads of a branch or a task start with a copy of their parent's context.
current: contextvars.ContextVar[Scope | None] = contextvars.ContextVar("scope", default=None)


def check() -> None:
    """Raises Stopped if the current scope has ended."""
    scope = current.get()
    if scope and scope.ended:
        raise Stopped
