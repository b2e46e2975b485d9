"""A clock that looks after a single process: is it still getting anywhere, and may it go on?

Triage runs programs, and shrinking makes new ones; any of them may loop inside one step.  A timer
interrupts the process now and then.  When no run has begun since long, the run in hand is given
up with HungError; when the process was told to end, or its time is over, it stops with Stopped.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any, Final

from fuzz.execution import HarnessError
from fuzz.overlay import Model

TICK: Final = 0.25  # seconds


class HungError(HarnessError):
    """A run has not ended for too long."""


class Stopped(BaseException):
    """The process is to end now.  Not an Exception: no handler of errors may swallow it."""


class Watchdog:
    """Interrupts the process; gives up only what runs inside watching()."""

    def __init__(self, hang_seconds: float, ask: Callable[[], bool]) -> None:
        self.hang_seconds = hang_seconds
        self.ask = ask  # whether the process has to stop
        self.runs = 0
        self._watching = False
        self._seen = -1
        self._since = 0.0
        self._told = False

    def counted(self, model: Model) -> Model:
        """The model, counting its runs for us."""
        base, runner = model.kvm, model.runner
        if runner is not None:

            def counting_runner(plan: Any, recorder: Any) -> Any:
                self.runs += 1
                return runner(plan, recorder)

            return replace(model, runner=counting_runner)

        def counting(kvm: Any, *args: Any, **kwargs: Any) -> None:
            self.runs += 1
            base.__init__(kvm, *args, **kwargs)

        kvm = type(base.__name__, (base,), {"__slots__": (), "__init__": counting})
        return replace(model, kvm=kvm)

    def start(self) -> None:
        """Begin to interrupt; only in the main thread."""
        signal.signal(signal.SIGALRM, self._tick)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        signal.setitimer(signal.ITIMER_REAL, TICK, TICK)

    def stop(self) -> None:
        """No more interrupts."""
        self._told = True
        signal.setitimer(signal.ITIMER_REAL, 0)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Inside, a run that does not end is given up with HungError."""
        self._seen, self._since = self.runs, time.monotonic()
        self._watching = True
        try:
            yield
        finally:
            self._watching = False

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        if not self._told:  # once: the way out must not be interrupted again
            self._told = True
            raise Stopped

    def _tick(self, number: int, frame: FrameType | None) -> None:
        if self.ask():
            self._end(number, frame)
        now = time.monotonic()
        if self.runs != self._seen:
            self._seen, self._since = self.runs, now
        elif self._watching and now - self._since > self.hang_seconds:
            self._since = now
            raise HungError(f"a run has not ended for {self.hang_seconds:g} s")
