"""Writes down the course of a campaign: statistics, events, and the index over both.

Lines of statistics come every second at first and more rarely later, so that a campaign of weeks
has some ten thousand of them and a short one has enough to draw a curve.
"""

from __future__ import annotations

import os
from typing import Final

from tools.campaign.layout import Layout
from tools.campaign.records.events import append_line, log_event
from tools.campaign.records.stats import stats_line, stats_text
from tools.campaign.records.store import Store
from tools.campaign.records.totals import SeenAs
from tools.campaign.supervise.disk import Disk
from tools.campaign.views.snapshot import ENDED, Event, Snapshot

EVERY: Final = 1.0  # seconds between lines at first
SPREAD: Final = 600.0  # one line for so many parts of the time so far
EVERY_MAX: Final = 60.0


def line_every(session_seconds: float) -> float:
    """Seconds between two lines of statistics."""
    return min(max(EVERY, session_seconds / SPREAD), EVERY_MAX)


class Recorder:
    """Of one supervisor."""

    def __init__(self, layout: Layout, disk: Disk, command_line: str) -> None:
        self.layout = layout
        self.disk = disk
        self.command_line = command_line
        self.store = Store(layout)
        self._unlogged: list[Event] = []
        self._last = float("-inf")  # session time of the last line

    def note(self, event: Event) -> None:
        """Write down an event that no view is shown."""
        self._unlogged.append(event)

    def record(self, snapshot: Snapshot, seen: dict[SeenAs, int]) -> None:
        """Write what is due; what does not fit on the disk now is written later."""
        self._unlogged += snapshot.events
        while self._unlogged and self._log(self._unlogged[0]):
            del self._unlogged[0]
        due = snapshot.session_time - self._last >= line_every(snapshot.session_time)
        if not due and snapshot.state != ENDED and not snapshot.events:
            return
        self._last = snapshot.session_time
        pid = os.getpid()
        text = stats_text(snapshot, pid, self.command_line)
        self.disk.guard(lambda: append_line(self.layout.stats, text))
        line = stats_line(snapshot, pid, self.command_line)
        self.store.add(line, snapshot.events, snapshot.findings, seen)

    def _log(self, event: Event) -> bool:
        return self.disk.guard(lambda: log_event(self.layout.events, event))

    def close(self, snapshot: Snapshot, seen: dict[SeenAs, int]) -> None:
        """The session is over: let the index catch up, and close it."""
        if self.store.error:
            self.store.sync(snapshot.findings, seen)
        self.store.close()
