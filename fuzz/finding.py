"""A judgement worth keeping, as plain data: what was broken, by which program, on what evidence.

One kind of finding is one rule broken at one site on one side; everything else is detail.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
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
from fuzz.rules import EXPLAINED
from fuzz.text import ProgramError, format_program, validate
from fuzz.tolerance import Difference, op_names
from fuzz.vocabulary import Program

FORMAT: Final = 1
TELLING_RESULTS_MAX: Final = 8


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
    replayed: str = ""  # "1 of 1" when the program, read back from its text, showed it again
    shows_on: tuple[str, ...] = ()  # profiles on which the program shows it; empty: not asked

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
            program=annotated(
                judgement.program, judgement.lines, kind, verdict, reference.name, patched.name
            ),
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

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON can write it; fuzz/folder.py reads it back."""
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
            "replayed": self.replayed,
            "shows_on": list(self.shows_on),
            "counts": {
                "seen": self.seen,
                "benefit": {name: list(pair) for name, pair in sorted(self.benefit.items())},
            },
        }


def _plain(item: Broken | Difference) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__dataclass_fields__}


def annotated(
    program: Program, lines: tuple[str, ...], kind: Kind, verdict: str, reference: str, patched: str
) -> Program:
    """The program as it is kept: says what it is, expects what it shows, names its models."""
    head = f"{verdict} {kind.side} {kind.rule} at {kind.site}; finding {kind.fingerprint}"
    why = EXPLAINED[kind.rule].otherwise if kind.rule in EXPLAINED else ""
    head, why = (re.sub(r"\s+", " ", text).strip() for text in (head, why))
    old = [line for line in program.title if line not in (why,) and "; finding " not in line]
    title = tuple([line for line in (head, why) if line] + old)
    result = replace(program, title=title, expect=lines)
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
