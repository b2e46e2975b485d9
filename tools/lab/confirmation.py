"""What real kernels said of a finding, as plain data beside it: confirmation.json.

A confirmation belongs to one program: when a smaller one replaces it, the old confirmation is
not told any more.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from fuzz.text import format_program
from fuzz.vocabulary import Program

FILE: Final = "confirmation.json"
FORMAT: Final = 1

CONFIRMED: Final = "confirmed"
NOT_REPRODUCED: Final = "not reproduced"
NOT_EXPRESSIBLE: Final = "not expressible"
DISAGREES: Final = "disagrees"  # a real kernel shows it, but not on the sides that were judged
NOT_RUN: Final = "not run"  # skipped, or the machine did not get so far


@dataclass(frozen=True, slots=True)
class KernelRun:
    """The reproducer on one kernel.

    hits: attempts in which the rule was seen broken; evidence: by which tests, and what was
    printed; trace: printed steps that are as the model says, of all; trouble: what went wrong.
    """

    release: str
    patched: bool
    mmu: str
    attempts: int
    hits: int
    evidence: tuple[str, ...]
    trace: tuple[int, int]
    output: tuple[str, ...]
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class KernelVerdict:
    """What the two runs on one release come to."""

    release: str
    verdict: str
    text: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Everything about one finding.  reason: why it cannot be expressed, if so."""

    fingerprint: str
    program: str  # digest of its text
    runs: tuple[KernelRun, ...] = ()
    verdicts: tuple[KernelVerdict, ...] = ()
    reason: str = ""

    @property
    def summary(self) -> str:
        """One line: ``confirmed on 7.2.13-... (10 of 10 attempts), ...``."""
        if self.reason:
            return f"{NOT_EXPRESSIBLE}: {self.reason}"
        return "; ".join(verdict.text for verdict in self.verdicts) or NOT_RUN

    def to_json(self) -> dict[str, Any]:
        """As JSON can write it."""
        return {"format": FORMAT, **asdict(self)}


def digest(program: Program) -> str:
    """What names a program's content."""
    return digest_of_text(format_program(program))


def digest_of_text(text: str) -> str:
    """The same, of a program as format_program() writes it."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def save(confirmation: Confirmation, folder: Path) -> Path:
    """Keep it in a finding's folder, in one rename."""
    path = folder / FILE
    young = path.with_name(f".{FILE}.new")
    young.write_text(json.dumps(confirmation.to_json(), indent=1, ensure_ascii=False) + "\n")
    young.replace(path)
    return path


def load(folder: Path, program: Program | str) -> Confirmation | None:
    """The confirmation of a program (or its text) in a folder; None when there is none that can be
    read, or it is of another program."""
    try:
        data = json.loads((folder / FILE).read_text(encoding="utf-8"))
        found = _from_json(data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None
    wanted = digest_of_text(program) if isinstance(program, str) else digest(program)
    return found if found.program == wanted else None


def _from_json(data: dict[str, Any]) -> Confirmation:
    if data.pop("format") != FORMAT:
        raise ValueError("another format")
    runs = tuple(
        KernelRun(
            **{
                **run,
                "evidence": tuple(run["evidence"]),
                "trace": (int(run["trace"][0]), int(run["trace"][1])),
                "output": tuple(run["output"]),
            }
        )
        for run in data["runs"]
    )
    verdicts = tuple(KernelVerdict(**verdict) for verdict in data["verdicts"])
    return Confirmation(**{**data, "runs": runs, "verdicts": verdicts})
