"""A place for one child process that is started again when it ends: the triager's, or a worker's.

A slot is told the time once a tick and does at most one thing then; nothing here waits.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools import exits
from tools.campaign.supervise.process import Child, log_tail, status_text, trim_log
from tools.campaign.supervise.watch import Backoff
from tools.campaign.views.snapshot import GAVE_UP, TRIAGER_DIED, Tell

TAIL_LINES: Final = 12


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient the supervisor is, in seconds; tests are less so."""

    tick: float = 1.0
    early: float = 5.0  # a process that lives less than this died young
    deaths_max: int = 5  # young deaths in a row, then it is given up
    delay: float = 0.5  # before the second start; doubles
    dump: float = 1.0  # to write a stack dump before it is killed
    stop: float = 5.0  # to end in good order, then SIGTERM, then as long again and SIGKILL
    drain: float = 20.0  # for triage to finish what is in the queue
    hook: float = 60.0  # for the command run on a finding
    ballast: float = 30.0  # between attempts to make the ballast again
    room: float = 5.0  # before a process that died of a full disk is started again

    def backoff(self) -> Backoff:
        """The decisions on starting again, with these numbers."""
        return Backoff(self.early, self.deaths_max, self.delay)


class Slot:
    """Starts a command, starts it again when it dies, and ends it when asked."""

    died_kind: str = TRIAGER_DIED

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        timing: Timing,
        tell: Tell,
        room: Callable[[], bool],
    ) -> None:
        self.name = name
        self.command = command
        self.log = log
        self.timing = timing
        self.tell = tell
        self.room = room  # whether the disk takes a small file
        self.backoff = timing.backoff()
        self.child: Child | None = None
        self.starts = 0
        self.started = self.start_at = 0.0
        self.stopping_since: float | None = None
        self.grace = timing.stop
        self.gave_up = False
        self.refused = False  # it cannot work with what it was given, and said so
        self._now = 0.0

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return max(0, self.starts - 1)

    @property
    def over(self) -> bool:
        """Whether there is no process, and there will be none."""
        return self.child is None and (self.gave_up or self.stopping_since is not None)

    def state(self) -> str:
        """In a word or two what the slot is doing; see WorkerView."""
        if self.gave_up:
            return "gone"
        if self.stopping_since is not None:
            return "stopping" if self.child is not None else "gone"
        if self.child is None:
            return f"restarts in {max(0.0, self.start_at - self._now):.0f} s"
        return "running"

    def tick(self, now: float) -> None:
        """Look at the process, and do what is due."""
        self._now = now
        if self.child is None:
            if not self.over and now >= self.start_at:
                self._start(now)
            return
        status = self.child.status()
        if status is not None:
            self._ended(now, status)
            return
        if self.stopping_since is not None:
            self._press(now - self.stopping_since)
        else:
            self._watch(now)

    def stop(self, now: float) -> None:
        """Ask it to end; the stop file is there already, so at first just wait."""
        if self.stopping_since is None:
            self.stopping_since = now

    def kill(self) -> None:
        """End it at once."""
        if self.child is not None:
            self.child.kill()

    def _start(self, now: float) -> None:
        try:
            self.child = Child(self.command, self.log)
        except OSError as error:  # no memory, no processes left: like one that died young
            self._schedule(now, 0.0, f"cannot be started: {error}")
            return
        self.starts += 1
        self.started = now

    def _watch(self, now: float) -> None:
        """What is to be seen to while the process runs."""
        trim_log(self.log)

    def _press(self, waited: float) -> None:
        """Be less polite the longer it takes."""
        assert self.child is not None
        if waited >= self.grace + self.timing.stop:
            self.child.kill()
        elif waited >= self.grace:
            self.child.signal(signal.SIGTERM)

    def _ended(self, now: float, status: int) -> None:
        self.child = None
        if self.stopping_since is None:
            self._died(now, status, now - self.started)

    def _died(self, now: float, status: int, lived: float, note: str = "") -> None:
        """It ended on its own: say so, and decide when to start it again."""
        if status == exits.BAD_INPUT:
            self.gave_up = self.refused = True
            last = log_tail(self.log).strip().rpartition("\n")[2]
            self.tell(GAVE_UP, f"{self.name} cannot work: {last}{note}")
        else:
            self._schedule(now, lived, status_text(status) + note)

    def _schedule(self, now: float, lived: float, why: str) -> None:
        if lived < self.timing.early and not self.room():
            self.start_at = now + self.timing.room
            self.tell(self.died_kind, f"{self.name} ended ({why}) with the disk full; it waits")
            return
        delay = self.backoff.died(lived)
        self.start_at = now + delay
        if not self.backoff.hopeless:
            again = f"in {delay:g} s" if delay else "now"
            self.tell(self.died_kind, f"{self.name} ended ({why}); it is started again {again}")
            return
        self.gave_up = True
        tail = "\n".join(log_tail(self.log).splitlines()[-TAIL_LINES:])
        self.tell(
            GAVE_UP,
            f"{self.name} died {self.backoff.deaths} times within {self.timing.early:g} s of its "
            f"start, last of: {why}; the end of {self.log}:\n{tail}",
        )
