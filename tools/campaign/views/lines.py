"""A campaign as plain lines: one every ten seconds, and one for each thing that happens."""

from __future__ import annotations

from typing import Final, TextIO

from tools.campaign.views.snapshot import ENDED, Snapshot
from tools.campaign.views.words import event_line, line

EVERY: Final = 10.0


class LinesView:
    """Writes to a stream, usually stderr."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._next = 0.0

    def show(self, snapshot: Snapshot) -> None:
        """Events at once; the rest now and then."""
        told = [event_line(event) for event in snapshot.events]
        if snapshot.session_time >= self._next or snapshot.state == ENDED:
            self._next = snapshot.session_time + EVERY
            told.append(line(snapshot))
        for text in told:
            print(text, file=self.stream, flush=True)

    def close(self) -> None:
        """There is nothing to put back."""
