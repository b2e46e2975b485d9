"""Folders of findings that are not whole: completed from what is there, or judged again.

finding.json has everything.  Without it, the programs in the folder go back to the queue, where
triage makes the finding anew, and the folder goes to quarantine.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from fuzz.finding import Finding
from fuzz.folder import PROGRAM, REPORT, FindingError, load
from fuzz.report import report
from fuzz.text import ProgramError, format_program, parse
from tools.campaign.layout import PROGRAM_SUFFIX, Layout, queue_name, write_whole
from tools.campaign.quarantine import into_quarantine
from tools.campaign.records.history import HISTORY, MEMBERS, change_history, has_history


def repair_findings(layout: Layout) -> Iterator[str]:
    """Look at every folder."""
    for folder in sorted(layout.findings.iterdir()):
        here = folder.relative_to(layout.root)
        if not folder.is_dir() or folder.is_symlink():
            moved = into_quarantine(layout, folder, "is no folder of a finding")
            yield f"{here}: is no folder of a finding; moved to {moved.relative_to(layout.root)}"
            continue
        try:
            finding = load(folder)
        except (FindingError, ProgramError) as error:
            yield _again(layout, folder, str(error))
            continue
        if finding.fingerprint != folder.name:
            yield _again(layout, folder, f"holds finding {finding.fingerprint}")
            continue
        yield from _complete(layout, folder, finding)


def _again(layout: Layout, folder: Path, why: str) -> str:
    """Put the programs of a folder back into the queue, and the folder away."""
    count = 0
    for path in [folder / PROGRAM, *sorted(folder.glob(f"{MEMBERS}/*{PROGRAM_SUFFIX}"))]:
        try:
            data = path.read_bytes()
            parse(data.decode("utf-8"), path.name)
        except (OSError, UnicodeDecodeError, ProgramError):
            continue
        write_whole(layout.queue / queue_name(folder.name, data), data)
        count += 1
    here = folder.relative_to(layout.root)
    moved = into_quarantine(layout, folder, why)
    return (
        f"{here}: {why}; moved to {moved.relative_to(layout.root)}, "
        f"{count} of its programs back to the queue"
    )


def _complete(layout: Layout, folder: Path, finding: Finding) -> Iterator[str]:
    """Write again what can be made from finding.json."""
    program = folder / PROGRAM
    here = folder.relative_to(layout.root)
    text = format_program(finding.program)
    if not program.is_file():
        write_whole(program, text)
        yield f"{here}/{PROGRAM}: was missing; written again"
    elif program.read_bytes() != text.encode():  # a smaller one that came too late, or an edit
        moved = into_quarantine(layout, program, "was not the program of finding.json")
        write_whole(program, text)
        yield (
            f"{here}/{PROGRAM}: was not the program of finding.json; written again, "
            f"what was there is in {moved.relative_to(layout.root)}"
        )
    if not (folder / REPORT).is_file():
        write_whole(folder / REPORT, report(finding, str(program)))
        yield f"{here}/{REPORT}: was missing; written again"
    if not has_history(folder):
        change_history(folder, partial(_begin, folder, finding))
        yield f"{here}/{HISTORY}: was missing or damaged; begins anew"


def _begin(folder: Path, finding: Finding, history: dict[str, Any]) -> None:
    """What can still be said about how a finding came about."""
    members = sorted(path.stem for path in folder.glob(f"{MEMBERS}/*{PROGRAM_SUFFIX}"))
    seen = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    kind = finding.kind
    history["first_seen"] = seen.isoformat(timespec="seconds")
    history["count"] = max(1, finding.seen, len(members))
    history["seen_as"] = [[kind.rule, kind.site, kind.side]]
    history["members"] = members
    history["shows_on"] = [str(finding.program.profile)]
