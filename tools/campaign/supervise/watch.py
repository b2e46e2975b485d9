"""When is a process hung, and when is it no use to start it again: decisions, without processes.

Both are told the time, so that tests need none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

SILENT_TIMES: Final = 10  # with nothing in hand, so many times hang_seconds are a hang, too


@dataclass(slots=True)
class Watch:
    """Looks at the pulse of one process.

    An input in hand and a count that does not move is a hang.  Without an input the process may
    be loading a large corpus, which takes longer.
    """

    hang_seconds: float
    executions: int = -1
    busy: bool = False
    since: float = 0.0  # when the pulse last moved

    def hung(self, now: float, executions: int, busy: bool) -> bool:
        """Whether the process hangs, seen now with so many executions, busy with one or not."""
        if (executions, busy) != (self.executions, self.busy):
            self.executions, self.busy, self.since = executions, busy, now
            return False
        patience = self.hang_seconds if busy else self.hang_seconds * SILENT_TIMES
        return now - self.since >= patience

    def excuse(self, now: float) -> None:
        """There is a reason for silence; start counting from now."""
        self.since = now


@dataclass(slots=True)
class Backoff:
    """How long to wait before a process that ended is started again, and when not to.

    A process that ran for longer than `early_seconds` was fine, and its successor starts at once.
    Those that die young wait longer each time; after `deaths_max` in a row it is given up.
    """

    early_seconds: float = 5.0
    deaths_max: int = 5
    delay_seconds: float = 0.5  # before the second start; doubles each time
    delay_max: float = 30.0
    deaths: int = field(default=0, init=False)  # early ones in a row

    @property
    def hopeless(self) -> bool:
        """Whether it died too often right after its start."""
        return self.deaths >= self.deaths_max

    def died(self, lived_seconds: float) -> float:
        """A process ended after so long; returns how long to wait before the next one."""
        if lived_seconds >= self.early_seconds:
            self.deaths = 0
            return 0.0
        self.deaths += 1
        return min(self.delay_seconds * 2.0 ** (self.deaths - 1), self.delay_max)
