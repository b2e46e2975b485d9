"""A judgement worth keeping: one folder per fingerprint, readable by people and by programs.

A folder holds program.prog (run it, edit it, mail it), report.txt (read it) and finding.json
(everything in the report as data).  A folder is made in one rename, and a file in it is replaced
in one rename, so nobody ever reads half a finding.  What is kept is only replaced by something
smaller, so fuzzing again never makes a finding worse.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from fuzz import edit
from fuzz.execution import Run
from fuzz.judge import (
    EQUIVALENCE,
    PATCHED_ONLY,
    STUCK_RULES,
    Broken,
    Judgement,
    Verdict,
    fingerprint,
    suspicious,
)
from fuzz.overlay import Model
from fuzz.report import report
from fuzz.rules import RULES
from fuzz.text import ProgramError, format_program, parse, validate
from fuzz.tolerance import Difference, op_names
from fuzz.vocabulary import Program

FORMAT: Final = 1
PROGRAM: Final = "program.prog"
REPORT: Final = "report.txt"
DATA: Final = "finding.json"
TELLING_RESULTS_MAX: Final = 8


class FindingError(ValueError):
    """A folder that should hold a finding does not; says which file, and what to do."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What makes two failures the same finding."""

    rule: str
    site: str
    side: str

    @property
    def fingerprint(self) -> str:
        """The folder's name."""
        return fingerprint(self.rule, self.side, self.site)


def kind_of(broken: Broken) -> Kind:
    """The kind that one broken rule is."""
    return Kind(broken.rule, broken.site, broken.side)


def kinds_of(judgement: Judgement) -> list[Kind]:
    """Every kind of finding in a judgement: one per broken rule, or one for the differences."""
    if judgement.broken:
        return [kind_of(b) for b in judgement.broken]
    if judgement.differing:
        return [Kind(EQUIVALENCE, judgement.differing[0].kind, PATCHED_ONLY)]
    return []


@dataclass(frozen=True, slots=True)
class Finding:
    """All that a report says, as plain data.

    invariant: `program` carries the verdict lines as its expect headers, and its text reads back.
    """

    kind: Kind
    verdict: str
    lines: tuple[str, ...]
    program: Program
    models: tuple[str, str]  # reference, patched: as the user named them
    broken: tuple[Broken, ...]  # the one that names the finding first; empty for a difference
    differing: tuple[Difference, ...]
    evidence: str
    sides: tuple[str, str]  # how each side ended, in words
    results: tuple[str, ...]  # op results in which the sides differ
    needed: tuple[bool, ...]  # per preemption: without it, the finding is gone
    drift: tuple[str, ...]  # preemptions that one side alone reached
    benefit: dict[str, tuple[int, int]]
    ops_before: int = 0  # number of ops before shrinking; 0 when it was not shrunk
    seen: int = 1

    @property
    def fingerprint(self) -> str:
        """Eight hex digits of rule, side and site."""
        return self.kind.fingerprint

    @property
    def headline(self) -> str:
        """One line for lists: verdict, side, rule, site."""
        return f"{self.verdict} {self.kind.side} {self.kind.rule} at {self.kind.site}"

    @classmethod
    def of(
        cls,
        judgement: Judgement,
        reference: Model,
        patched: Model,
        kind: Kind | None = None,
        ops_before: int = 0,
    ) -> Finding:
        """The finding of this kind in a judgement, by default the one that names it."""
        chosen = [b for b in judgement.broken if kind is not None and kind_of(b) == kind]
        if not chosen and judgement.primary is not None:
            chosen = [judgement.primary]
        if chosen:
            kind = kind_of(chosen[0])
            stuck = kind.rule in STUCK_RULES
            verdict = (Verdict.DEADLOCK if stuck else Verdict.INVARIANT).name
        else:
            kind, verdict = kinds_of(judgement)[0], judgement.verdict.name
        others = [b for b in judgement.broken if b not in chosen]
        return cls(
            kind=kind,
            verdict=verdict,
            lines=judgement.lines,
            program=_annotated(judgement, kind, verdict, reference.name, patched.name),
            models=(reference.name, patched.name),
            broken=(*chosen, *others),
            differing=tuple(judgement.differing),
            evidence=judgement.evidence,
            sides=(_side(judgement.reference), _side(judgement.patched)),
            results=_results(judgement),
            needed=_needed(judgement, kind, reference, patched),
            drift=tuple(_point(p) for p in judgement.drift),
            benefit=dict(judgement.benefit),
            ops_before=ops_before,
        )

    def save(self, directory: Path) -> Path:
        """Keep the finding under `directory`; returns the path of its program.

        An existing finding of the same fingerprint stays unless this program is smaller.
        """
        folder = directory / self.fingerprint
        program = folder / PROGRAM
        if folder.exists():
            if edit.size(self.program) < edit.size(load(folder).program):
                for name, text in self._files(program).items():
                    _write(folder / name, text)
            return program
        directory.mkdir(parents=True, exist_ok=True)
        young = directory / f".{self.fingerprint}.{os.getpid()}"
        young.mkdir(exist_ok=True)
        for name, text in self._files(program).items():
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

    def _files(self, program: Path) -> dict[str, str]:
        data = json.dumps(self.to_json(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        return {
            PROGRAM: format_program(self.program),
            REPORT: report(self, str(program)),
            DATA: data,
        }

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON can write it; `load` reads it back."""
        first = self.broken[0] if self.broken else None
        return {
            "format": FORMAT,
            "fingerprint": self.fingerprint,
            "rule": self.kind.rule,
            "side": self.kind.side,
            "site": self.kind.site,
            "verdict": self.verdict,
            "lines": list(self.lines),
            "profile": str(self.program.profile),
            "models": {"reference": self.models[0], "patched": self.models[1]},
            "program": format_program(self.program),
            "where": first.where if first else self.differing[0].where,
            "evidence": (first.evidence if first else "") or self.evidence,
            "search": self.evidence,
            "broken": [_plain(b) for b in self.broken],
            "differing": [_plain(d) for d in self.differing],
            "ends": {"reference": self.sides[0], "patched": self.sides[1]},
            "results": list(self.results),
            "needed": list(self.needed),
            "drift": list(self.drift),
            "ops_before": self.ops_before,
            "counts": {
                "seen": self.seen,
                "benefit": {name: list(pair) for name, pair in sorted(self.benefit.items())},
            },
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
    young.write_text(text, encoding="utf-8")
    young.replace(path)


def _plain(item: Broken | Difference) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__dataclass_fields__}


def _annotated(
    judgement: Judgement, kind: Kind, verdict: str, reference: str, patched: str
) -> Program:
    """The program as it is kept: says what it is, expects what it shows, names its models."""
    program = judgement.program
    head = f"{verdict} {kind.side} {kind.rule} at {kind.site}; finding {kind.fingerprint}"
    why = RULES[kind.rule].otherwise if kind.rule in RULES else ""
    head, why = (re.sub(r"\s+", " ", text).strip() for text in (head, why))
    old = [line for line in program.title if line not in (why,) and "; finding " not in line]
    title = tuple([line for line in (head, why) if line] + old)
    result = replace(program, title=title, expect=judgement.lines)
    named = replace(result, reference=reference, patched=patched)
    try:
        validate(named)
    except ProgramError:
        return result  # a path with a space: the replay command names the model instead
    return named


def _point(p: Any) -> str:
    return f"{p.actor}[{p.op}] at {p.label}#{p.occurrence} -> {p.to}"


def _side(run: Run) -> str:
    words = f"{run.end.value} after {run.steps} steps"
    if run.stuck:
        words += "; " + "; ".join(run.stuck)
    rules = sorted({rule for rule, _ in run.kvm.violations})
    return words + ("; breaks " + ", ".join(rules) if rules else "; breaks no rule")


def _results(judgement: Judgement) -> tuple[str, ...]:
    """Op results in which the sides differ, promised or not."""
    ours, theirs = judgement.reference.results, judgement.patched.results
    told: list[str] = []
    for key, op in op_names(judgement.program).items():
        pair = ours.get(key, "did not end"), theirs.get(key, "did not end")
        if pair[0] != pair[1]:
            told.append(f"{key[0]}[{key[1]}] {op.name}: reference {pair[0]}, patched {pair[1]}")
    if len(told) > TELLING_RESULTS_MAX:
        rest = len(told) - TELLING_RESULTS_MAX
        told[TELLING_RESULTS_MAX:] = [f"and {rest} more"]
    return tuple(told)


def _needed(judgement: Judgement, kind: Kind, reference: Model, patched: Model) -> tuple[bool, ...]:
    """Which preemptions the finding needs: tried by leaving out each."""
    program = judgement.program
    return tuple(
        not _shows(edit.without_preemption(program, at), kind, reference, patched)
        for at in range(len(program.schedule))
    )


def _shows(program: Program, kind: Kind, reference: Model, patched: Model) -> bool:
    again = suspicious(program, reference, patched)
    return again is not None and any(
        (found.rule, found.site) == (kind.rule, kind.site) for found in kinds_of(again)
    )


def findings_in(directory: Path) -> Sequence[Path]:
    """Folders of kept findings, sorted."""
    return sorted(path.parent for path in directory.glob(f"*/{DATA}"))
