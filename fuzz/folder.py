"""Findings on disk: one folder per fingerprint, readable by people and by programs.

A folder holds program.prog (run it, edit it, mail it), report.txt (read it) and finding.json
(everything in the report as data).  A folder is made in one rename, and a file in it is replaced
in one rename, so nobody ever reads half a finding.  What is kept is only replaced by something
smaller, so fuzzing again never makes a finding worse.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from fuzz import edit
from fuzz.finding import FORMAT, Finding, Kind
from fuzz.judge import Broken
from fuzz.report import report
from fuzz.text import format_program, parse
from fuzz.tolerance import Difference

PROGRAM: Final = "program.prog"
REPORT: Final = "report.txt"
DATA: Final = "finding.json"


class FindingError(ValueError):
    """A folder that should hold a finding does not; says which file, and what to do."""


def save(finding: Finding, directory: Path) -> Path:
    """Keep the finding under `directory`; returns the path of its program.

    An existing finding of the same fingerprint stays unless this program is smaller.
    """
    folder = directory / finding.fingerprint
    program = folder / PROGRAM
    if folder.exists():
        if edit.size(finding.program) < edit.size(load(folder).program):
            for name, text in _files(finding, program).items():
                _write(folder / name, text)
        return program
    directory.mkdir(parents=True, exist_ok=True)
    young = directory / f".{finding.fingerprint}.{os.getpid()}"
    young.mkdir(exist_ok=True)
    for name, text in _files(finding, program).items():
        _write(young / name, text)
    try:
        young.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        for leftover in young.iterdir():  # somebody else was faster
            leftover.unlink()
        young.rmdir()
    return program


def _files(finding: Finding, program: Path) -> dict[str, str]:
    data = json.dumps(finding.to_json(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return {
        PROGRAM: format_program(finding.program),
        REPORT: report(finding, str(program)),
        DATA: data,
    }


def _from_json(data: dict[str, Any], filename: str) -> Finding:
    models, ends, counts = data["models"], data["ends"], data["counts"]
    return Finding(
        kind=Kind(data["rule"], data["site"], data["side"]),
        verdict=data["verdict"],
        lines=tuple(data["lines"]),
        program=parse(data["program"], filename),
        models=(models["reference"], models["patched"]),
        broken=tuple(Broken(**b) for b in data["broken"]),
        differing=tuple(Difference(**d) for d in data["differing"]),
        evidence=data["search"],
        sides=(ends["reference"], ends["patched"]),
        results=tuple(data["results"]),
        needed=tuple(data["needed"]),
        drift=tuple(data["drift"]),
        benefit={name: (pair[0], pair[1]) for name, pair in counts["benefit"].items()},
        ops_before=data["ops_before"],
        seen=counts["seen"],
        replayed=data.get("replayed", ""),
        shows_on=tuple(data.get("shows_on", ())),
    )


def load(folder: Path) -> Finding:
    """Read a finding back; FindingError when the folder holds none that we can read."""
    path = folder / DATA
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        found = data.get("format") if isinstance(data, dict) else None
        if found != FORMAT:
            raise FindingError(f"{path}: format {found!r}, not {FORMAT}; move the folder away")
        return _from_json(data, str(path))
    except FindingError:
        raise
    except OSError as error:
        raise FindingError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        text = f"{path}: is no finding ({error!r}); move the folder away"
        raise FindingError(text) from error


def count_seen(folder: Path, times: int) -> None:
    """Add to how often a kept finding was seen; its program and report stay as they are."""
    finding = load(folder)
    data = replace(finding, seen=finding.seen + times).to_json()
    _write(folder / DATA, json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def _write(path: Path, text: str) -> None:
    """Write a file so that readers see the old or the new text, never a part."""
    young = path.with_name(f".{path.name}.{os.getpid()}")
    with young.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    young.replace(path)


def findings_in(directory: Path) -> Sequence[Path]:
    """Folders of kept findings, sorted."""
    return sorted(path.parent for path in directory.glob(f"*/{DATA}"))
