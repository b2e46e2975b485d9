"""Quarantine: where what is torn or not ours is moved, with one line that says why.

One mover for the supervisor, repair and triage: what goes wrong with odd names and full disks goes
wrong in all of them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from tools.campaign.layout import Layout, content_name, write_whole

WHY: Final = ".why"  # suffix of the file with the reason
NAME_MAX: Final = 200  # a number, WHY and the marks of a file being written must fit behind it


def into_quarantine(layout: Layout, path: Path, why: str) -> Path:
    """Move a file, folder or whatever it is out of the way; never overwrites.  Raises OSError.

    On a full disk it is moved all the same, without the reason: what is broken must not stay where
    the next process trips over it.
    """
    layout.quarantine.mkdir(parents=True, exist_ok=True)
    name = _name(layout, path)
    target, number = layout.quarantine / name, 1
    while os.path.lexists(target):
        number += 1
        target = layout.quarantine / f"{name}.{number}"
    # The reason first: a kill in between leaves the file where it was, to be moved again.
    line = " ".join(f"{path.name!a} {why}".split()) + "\n"
    with suppress(OSError):
        write_whole(target.with_name(target.name + WHY), line.encode("utf-8", "backslashreplace"))
    path.rename(target)
    return target


def _name(layout: Layout, path: Path) -> str:
    """The name in quarantine: where it was and what it was called.

    A name that is too long to add to, is no text, or looks like a reason is told in the reason
    alone.
    """
    origin = path.parent.name if path.parent != layout.root else "root"
    name = f"{origin}-{path.name.lstrip('.') or 'hidden'}"
    if name.isascii() and name.isprintable() and len(name) <= NAME_MAX and not name.endswith(WHY):
        return name
    return content_name(os.fsencode(name))
