"""Time that costs none, and strands of work of which exactly one runs at any moment.

An execution that waits passes its turn on, and the clock jumps to the one that is due next. So
the same test takes the same steps in the same order every time.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable

EPOCH = 1795424400.0  # 2026-11-23T09:00:00Z


class _Ended(BaseException):
    """Thrown into a strand that is not to go on. No `except Exception` can hold it up."""


class OutOfTime(BaseException):
    """Thrown into a strand whose deadline came while it waited."""


class Strand:
    """Work that may wait. `deadline`: when it runs out of time; None for never."""

    def __init__(self, schedule: Schedule, name: str, work: Callable[[], None]) -> None:
        self.name = name
        self.due = schedule.now
        self.deadline: float | None = None
        self.done = False
        self._schedule = schedule
        self._work = work
        self._ended = False
        self._error: BaseException | None = None
        self._turn = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._live,), name=name, daemon=True)
        self._thread.start()

    def resume(self) -> None:
        """Let it run until it waits or is done; raises what it raised."""
        self._schedule.running = self
        self._turn.release()
        self._back.acquire()
        self._schedule.running = None
        if self.done:
            self._thread.join()
        if self._error:
            raise self._error

    def end(self) -> None:
        """It does not go on from where it waits."""
        self._ended = True
        if not self.done:
            self.resume()

    def wait(self, seconds: float) -> None:
        self.due = self._schedule.now + seconds
        late = self.deadline is not None and self.due >= self.deadline
        if late and self.deadline is not None:
            self.due = self.deadline
        self._back.release()
        self._turn.acquire()
        if self._ended:
            raise _Ended
        if late:
            raise OutOfTime

    def _live(self) -> None:
        self._turn.acquire()
        try:
            if not self._ended:
                self._work()
        except _Ended:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self.done = True
            self._back.release()


class Schedule:
    """The clock (seconds since 1970) and the strands that live."""

    def __init__(self) -> None:
        self.now = EPOCH
        self.running: Strand | None = None
        self._strands: list[Strand] = []

    def start(self, name: str, work: Callable[[], None]) -> Strand:
        """It begins when it is next its turn, not before."""
        strand = Strand(self, name, work)
        self._strands.append(strand)
        return strand

    def sleep(self, seconds: float) -> None:
        """A strand lets others go on meanwhile; for anybody else the time just passes."""
        if self.running:
            self.running.wait(seconds)
        else:
            self.now += seconds

    def next_due(self) -> float | None:
        """When the next strand has something to do; None if there is none."""
        return min((strand.due for strand in self._strands), default=None)

    def step(self) -> None:
        """Run the strand that is due next, at its time."""
        strand = min(self._strands, key=lambda each: each.due)
        self.now = max(self.now, strand.due)
        try:
            strand.resume()
        finally:
            self._strands = [each for each in self._strands if not each.done]

    def end(self, name: str) -> None:
        """End the strand of this name where it waits."""
        for strand in [each for each in self._strands if each.name == name]:
            strand.end()
        self._strands = [each for each in self._strands if not each.done]

    def close(self) -> None:
        for strand in self._strands:
            strand.end()
        self._strands = []
