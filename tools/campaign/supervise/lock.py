"""One supervisor for each campaign directory, held by a lock that dies with its process."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

from tools.campaign.layout import Layout
from tools.campaign.settings import CampaignError

TRIES: Final = 5  # holder() takes the lock for a moment, which must not look like a supervisor
TRY_SECONDS: Final = 0.05


def holder(layout: Layout) -> int | None:
    """Process id of who holds the directory; 0 when that is not known, None when nobody does."""
    try:
        handle = os.open(layout.lock, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(handle, 32).decode(errors="replace").strip()
        return int(text) if text.isdecimal() else 0
    finally:
        os.close(handle)
    return None


class Lock:
    """Holds a campaign directory; a context manager.

    The file stays when the lock is gone: removing it would let two processes hold two files of
    the same name.
    """

    def __init__(self, layout: Layout, doing: str) -> None:
        self.path: Path = layout.lock
        self.doing = doing
        self.handle = -1

    def __enter__(self) -> Lock:
        """Raises CampaignError when somebody else holds it."""
        try:
            self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise CampaignError(f"{self.path}: cannot be opened: {error.strerror}") from error
        if not self._taken():
            text = os.read(self.handle, 32).decode(errors="replace").strip() or "unknown"
            os.close(self.handle)
            root = self.path.parent
            raise CampaignError(
                f"{root}: cannot {self.doing}: process {text} is using this directory; "
                f"wait, or end it with: gmemdiff stop -w {root}"
            )
        with suppress(OSError):  # the disk is full: the lock holds, only the number is not told
            os.ftruncate(self.handle, 0)
            os.pwrite(self.handle, f"{os.getpid()}\n".encode(), 0)
        return self

    def _taken(self) -> bool:
        for attempt in range(TRIES):
            try:
                fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if attempt < TRIES - 1:
                    time.sleep(TRY_SECONDS)
            else:
                return True
        return False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self.handle)
