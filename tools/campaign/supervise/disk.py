"""A full disk: say so once, give back the ballast so that findings still fit, and wait for room.

Workers and triage wait and try again when a write fails for want of room, so what they hold is
not lost.  The ballast is a file of one MiB that is deleted at the first such failure; findings
are a few KiB each.  There is room again when twice the ballast can be allocated.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tools.campaign.layout import YOUNG, Layout, write_whole
from tools.campaign.patience import is_full
from tools.campaign.views.snapshot import DISK_FREE, DISK_FULL, Tell

BALLAST: Final = 1 << 20
PROBE: Final = 4096  # bytes; one block is what a small file needs


class Disk:
    """The disk under one campaign."""

    def __init__(self, layout: Layout, every_seconds: float, tell: Tell) -> None:
        self.layout = layout
        self.every_seconds = every_seconds
        self.tell = tell
        self.full = False
        self._next = 0.0

    def guard(self, write: Callable[[], object]) -> bool:
        """Do a write; False when it failed, so that it can be tried again."""
        try:
            write()
        except OSError as error:
            self._trouble(error)
            return False
        return True

    def room(self) -> bool:
        """Whether a small file can be written now: asked before somebody is blamed for silence."""
        return not self.full and self.guard(self._probe)

    def _probe(self) -> None:
        try:
            write_whole(self.layout.root / "probe", bytes(PROBE))
        finally:
            (self.layout.root / "probe").unlink(missing_ok=True)

    def tick(self, now: float) -> None:
        """Make the ballast when it is missing; with that done there is room again."""
        if now < self._next or (self.layout.ballast.exists() and not self.full):
            return
        self._next = now + self.every_seconds
        if self._make() and self.full:
            self.full = False
            self.tell(DISK_FREE, f"there is room again under {self.layout.root}; going on")

    def _trouble(self, error: OSError) -> None:
        if is_full(error):
            with suppress(OSError):
                self.layout.ballast.unlink()
        if self.full:
            return
        self.full = True
        what = "make room" if is_full(error) else f"see to {error.filename}"
        self.tell(
            DISK_FULL,
            f"{self.layout.root}: {error.strerror}: findings are kept, coverage and statistics "
            f"wait; {what}, nothing needs to be started again",
        )

    def _make(self) -> bool:
        """Allocate twice the ballast and give half back: room for one ballast is no room."""
        young = self.layout.root / f"{YOUNG}ballast"
        try:
            with young.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, 2 * BALLAST)
                file.truncate(BALLAST)
                os.fsync(file.fileno())
            young.replace(self.layout.ballast)
        except OSError:
            with suppress(OSError):
                young.unlink(missing_ok=True)
            return False
        return True
