"""Keeping the folder of built files small: what nobody has used for a month goes.

A file's time of change is when it was used last.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

UNUSED_MAX: Final = 30 * 24 * 3600.0  # seconds


def use(path: Path) -> bool:
    """Whether a file is there; it then counts as used now."""
    try:
        os.utime(path)
    except OSError:  # somebody else's folder can be read only
        return path.is_file()
    return True


def prune(new: Path) -> None:
    """Remove the files beside a new one that were not used for UNUSED_MAX; folders stay.

    A library that a process has loaded goes on working there.
    """
    oldest = new.stat().st_mtime - UNUSED_MAX
    for path in new.parent.iterdir():
        try:
            if path.is_file() and path.stat().st_mtime < oldest:
                path.unlink()
        except OSError:  # another process was first, or it is not ours
            continue
