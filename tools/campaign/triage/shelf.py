"""What triage keeps on disk: findings with their history, what is known, errors, quarantine.

Every function here may be killed at any point and done again: the same files come out.
"""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from fuzz.finding import Finding, Kind
from fuzz.folder import FindingError, findings_in, load, save
from fuzz.text import ProgramError, format_program
from fuzz.text import load as load_program
from fuzz.triage import Memory
from fuzz.vocabulary import Program
from tools.campaign.child.pulse import INPUT_MAX
from tools.campaign.layout import PROGRAM_SUFFIX, Layout, content_name, queue_name, write_whole
from tools.campaign.quarantine import into_quarantine
from tools.campaign.records.history import add_member, moment, shown_as


def read_program(path: Path) -> Program:
    """Read a program that others have left, whatever the file may be.

    Raises FileNotFoundError, and ProgramError when it is no program.
    """
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise ProgramError(str(path), 1, 1, "is no file")
    if status.st_size > INPUT_MAX:
        raise ProgramError(str(path), 1, 1, f"has {status.st_size} bytes, too many for a program")
    return load_program(path)


def kept_findings(layout: Layout) -> Iterator[tuple[Path, Finding]]:
    """The findings of a campaign; a folder that holds none is passed over, with a line."""
    for folder in findings_in(layout.findings):
        if folder.name.startswith("."):
            continue
        try:
            yield folder, load(folder)
        except FindingError as error:
            print(error, file=sys.stderr, flush=True)


def load_memory(layout: Layout) -> Memory:
    """What is known: known.json, and what the findings themselves say, should it be lost."""
    try:
        memory = Memory.from_json(json.loads(layout.known.read_text(encoding="utf-8")))
    except FileNotFoundError:
        memory = Memory()
    except (OSError, ValueError) as error:
        to_quarantine(layout, layout.known, f"is no list of known kinds: {error}")
        memory = Memory()
    for folder, finding in kept_findings(layout):
        memory.kept.add(finding.kind)
        if finding.kind in shown_as(folder, finding)[1:]:
            memory.same.add(finding.kind)
    # What has no finding is not known, whatever the file says: its folder was moved away.
    memory.same &= memory.kept
    return memory


def save_memory(layout: Layout, memory: Memory) -> None:
    """Tell the workers what needs no triage any more."""
    text = json.dumps(memory.to_json(), indent=1, ensure_ascii=False) + "\n"
    try:
        if layout.known.read_text(encoding="utf-8") == text:
            return
    except (OSError, ValueError):
        pass
    write_whole(layout.known, text)


def keep(layout: Layout, finding: Finding, program: Program, seen_as: Kind) -> Path:
    """Keep a finding, the program it was found by, and when that was; returns its folder."""
    folder = save(finding, layout.findings).parent
    add_member(folder, program, seen_as, finding.shows_on, moment(layout))
    return folder


def seen_again(layout: Layout, kind: Kind, program: Program, seen_as: Kind) -> None:
    """Note one more program that shows a finding which is kept already."""
    folder = layout.findings / kind.fingerprint
    try:
        shows_on = load(folder).shows_on
    except FindingError:
        return  # somebody moved it away; the next resume says so
    add_member(folder, program, seen_as, shows_on, moment(layout))


def enqueue(layout: Layout, kind: Kind, program: Program) -> Path:
    """Put a program into the queue."""
    text = format_program(program)
    path = layout.queue / queue_name(kind.fingerprint, text.encode())
    write_whole(path, text)
    return path


def keep_error(layout: Layout, program: Program, error: BaseException) -> Path:
    """Keep a program on which our own code failed, and what it said."""
    text = format_program(program)
    path = layout.errors / (content_name(text.encode()) + PROGRAM_SUFFIX)
    cause = f"\ncaused by: {error.__cause__!r}" if error.__cause__ is not None else ""
    write_whole(path.with_suffix(".txt"), f"{type(error).__name__}: {error}{cause}\n")
    write_whole(path, text)
    return path


def to_quarantine(layout: Layout, path: Path, why: str) -> None:
    """Move a file that is not ours or torn out of the way, and say so in the log."""
    target = into_quarantine(layout, path, why)
    print(f"{str(path)!a}: moved to {target}: {why}", file=sys.stderr, flush=True)
