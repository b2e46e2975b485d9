"""Two surveys of one program, side by side: what only one side can do within the bound.

A complete survey makes "not seen" a proof: no schedule within the bound does it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from fuzz.execution import Run
from fuzz.judge import BOTH, EQUIVALENCE, PATCHED_ONLY, REFERENCE_ONLY, UNSETTLED, fingerprint
from fuzz.overlay import Model
from fuzz.port.exhaustive import Outcome, Schedule, Survey
from fuzz.search import execute
from fuzz.tolerance import differences
from fuzz.vocabulary import Program

SURVIVAL: Final = "gmem-survival"  # promised by patches alone: nobody else can break it


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that can happen within the bound.

    side: as of a judgement; UNSETTLED when the other side's exploration did not get through.
    program: with a schedule of fewest preemptions that does it.
    """

    side: str
    rule: str
    site: str
    program: Program

    @property
    def fingerprint(self) -> str:
        """The same as of a finding."""
        return fingerprint(self.rule, self.side, self.site)

    @property
    def size(self) -> tuple[int, int]:
        """Ops and preemptions."""
        return sum(len(a.ops) for a in self.program.actors), len(self.program.schedule)

    def __str__(self) -> str:
        return f"{self.side} {self.rule} at {self.site}"


@dataclass(frozen=True, slots=True)
class Sides:
    """The models of a comparison, as the exploration ran them."""

    reference: Model
    patched: Model


def compare(program: Program, sides: Sides, ours: Survey, theirs: Survey) -> list[Item]:
    """Everything that a rule or the comparison objects to: patched-only first, smallest first."""
    items = [*_rules(program, ours, theirs), *_outcomes(program, sides, ours, theirs)]
    order = (PATCHED_ONLY, UNSETTLED, BOTH, REFERENCE_ONLY)
    return sorted(items, key=lambda i: (order.index(i.side), i.size, i.rule, i.site))


def _rules(program: Program, ours: Survey, theirs: Survey) -> Iterator[Item]:
    for rule, site in sorted({*ours.rules, *theirs.rules}):
        old, new = ours.rules.get((rule, site)), theirs.rules.get((rule, site))
        if rule == SURVIVAL and new is not None:
            side = PATCHED_ONLY
        elif old is not None and new is not None:
            side = BOTH
        elif new is not None:
            side = PATCHED_ONLY if ours.complete else UNSETTLED
        else:
            side = REFERENCE_ONLY if theirs.complete else UNSETTLED
        schedule = new if new is not None else old
        assert schedule is not None
        yield Item(side, rule, site, replace(program, schedule=schedule))


def _outcomes(program: Program, sides: Sides, ours: Survey, theirs: Survey) -> Iterator[Item]:
    """Outcomes without a broken rule that the reference does not have: one for each kind."""
    runs: dict[tuple[bool, Schedule], Run] = {}
    by_final: dict[int, list[Outcome]] = {}
    for outcome in ours.outcomes.values():
        by_final.setdefault(outcome.final, []).append(outcome)

    def run(patched: bool, schedule: Schedule) -> Run:
        if (patched, schedule) not in runs:
            model = sides.patched if patched else sides.reference
            runs[patched, schedule] = execute(model, replace(program, schedule=schedule))
        return runs[patched, schedule]

    told: set[str] = set()
    for outcome in sorted(theirs.outcomes.values(), key=lambda o: (len(o.schedule), o.key)):
        if outcome.broken or outcome.key in ours.outcomes or outcome.end != "finished":
            continue
        after, promises = run(True, outcome.schedule), sides.patched.promises
        candidates = by_final.get(outcome.final, [])
        if any(not differences(program, run(False, c.schedule), after, promises)
               for c in candidates):  # fmt: skip
            continue
        # What differs from the reference under the very schedule names it.
        found = differences(program, run(False, outcome.schedule), after, promises)
        kind = found[0].kind if found else "outcome"
        if kind in told:
            continue
        told.add(kind)
        side = PATCHED_ONLY if ours.complete else UNSETTLED
        yield Item(side, EQUIVALENCE, kind, replace(program, schedule=outcome.schedule))


def only_reference(ours: Survey, theirs: Survey) -> int:
    """Outcomes that only the reference has: no fault of the patch, but told."""
    return len(ours.outcomes.keys() - theirs.outcomes.keys())
