"""Inputs that a worker had in hand when it ended badly, kept with what is known about it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from tools.campaign.layout import PROGRAM_SUFFIX, Layout, content_name, write_whole

WHY: Final = ".why"  # suffix: one line on why a file is in quarantine


def keep_input(folder: Path, data: bytes, text: str) -> Path:
    """Write SHA1.txt and then SHA1.prog; doing it again changes nothing.  Raises OSError.

    The program comes last: who finds it finds the text, too.
    """
    name = content_name(data)
    path = folder / f"{name}{PROGRAM_SUFFIX}"
    if not path.exists():
        write_whole(folder / f"{name}.txt", text)
        write_whole(path, data)
    return path


def into_quarantine(layout: Layout, path: Path, why: str) -> Path:
    """Move a file, folder or whatever it is out of the way; never overwrites.  Raises OSError."""
    origin = path.parent.name if path.parent != layout.root else "root"
    name = f"{origin}-{path.name.lstrip('.') or 'hidden'}"
    target, number = layout.quarantine / name, 1
    while os.path.lexists(target):
        number += 1
        target = layout.quarantine / f"{name}.{number}"
    layout.quarantine.mkdir(parents=True, exist_ok=True)
    # The reason first: it may not fit on the disk any more, and the move always does.
    with suppress(OSError):
        write_whole(target.with_name(target.name + WHY), why + "\n")
    path.rename(target)
    return target


def out_of_corpus(layout: Layout, data: bytes, why: str) -> bool:
    """Take an input that kills workers out of the corpus, or each new worker dies of it again."""
    path = layout.corpus / content_name(data)
    if not path.is_file():
        return False
    into_quarantine(layout, path, why)
    return True
