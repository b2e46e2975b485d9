"""Inputs that a worker had in hand when it ended badly, kept with what is known about it."""

from __future__ import annotations

from pathlib import Path

from tools.campaign.layout import PROGRAM_SUFFIX, Layout, content_name, write_whole
from tools.campaign.quarantine import into_quarantine


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


def out_of_corpus(layout: Layout, data: bytes, why: str) -> bool:
    """Take an input that kills workers out of the corpus, or each new worker dies of it again."""
    path = layout.corpus / content_name(data)
    if not path.is_file():
        return False
    into_quarantine(layout, path, why)
    return True
