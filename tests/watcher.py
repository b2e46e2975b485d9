"""View and interrupts of a supervisor in one: ends a campaign once it has seen enough."""

from __future__ import annotations

import time
from collections.abc import Callable

from tools.campaign.views.snapshot import Event, Snapshot


class Watcher:
    """Sees every snapshot; asks the campaign to end when `enough` says so, or after `patience`
    seconds, which no test needs."""

    def __init__(self, enough: Callable[[Watcher], bool], patience: float) -> None:
        self.enough = enough
        self.count = 0
        self.events: list[Event] = []
        self.last: Snapshot | None = None
        self.end = time.monotonic() + patience

    def show(self, snapshot: Snapshot) -> None:
        """Take note, and interrupt when it is enough."""
        self.last = snapshot
        self.events += snapshot.events
        if not self.count and (self.enough(self) or time.monotonic() > self.end):
            self.count = 1

    def close(self) -> None:
        """Nothing to close."""

    def wait(self, seconds: float) -> None:
        """Wait, as an interrupt would let one."""
        time.sleep(seconds)

    def told(self, kind: str) -> list[str]:
        """The texts of all events of a kind."""
        return [event.text for event in self.events if event.kind == kind]
