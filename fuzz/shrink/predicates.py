"""What a smaller program must still show; and what else turned up on the way.

The quick look is cheap, but its side is that of one schedule: a candidate may show the same kind
only because the two sides take different steps.  So there is a second predicate that searches.
Both remember every other kind that a candidate showed: shrinking is fuzzing, too, and what it
finds is filed as a finding of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from fuzz.execution import HarnessError
from fuzz.finding import Kind, kinds_of
from fuzz.judge import UNSETTLED, Judgement, Verdict, judge, suspicious
from fuzz.overlay import Model
from fuzz.size import size
from fuzz.vocabulary import Program

QUICK_RUNS: Final = 500
SEARCHES_MAX: Final = 60
# A kind that the first look left open is mostly drift in a large program: that gets less.
OPEN_SEARCHES_MAX: Final = 20
OPEN_RUNS: Final = 200


def settled_kinds(judgement: Judgement) -> list[Kind]:
    """The kinds that a whole judgement stands by."""
    return kinds_of(judgement) if judgement.verdict >= Verdict.DIVERGE else []


def settled_as(seen_as: Kind, judgement: Judgement) -> Kind | None:
    """What a kind of the quick look is after the search; None when nothing is left of it."""
    for kind in settled_kinds(judgement):
        if (kind.rule, kind.site) == (seen_as.rule, seen_as.site):
            return kind
    return None


class Shows:
    """A predicate: the quick look shows one of these kinds, side included."""

    def __init__(self, kinds: Collection[Kind], reference: Model, patched: Model) -> None:
        self.kinds = tuple(kinds)
        self.reference = reference
        self.patched = patched
        self.others: dict[Kind, Program] = {}  # what else was shown, by the smallest that did
        self.crashed: list[tuple[Program, HarnessError]] = []

    def __call__(self, program: Program) -> bool:
        try:
            again = suspicious(program, self.reference, self.patched)
        except HarnessError as error:  # ours to mend, but no reason to lose what is being shrunk
            self.crashed.append((program, error))
            return False
        shown = kinds_of(again) if again is not None else []
        for kind in shown:
            if kind not in self.kinds:
                before = self.others.get(kind)
                if before is None or size(program) < size(before):
                    self.others[kind] = program
        return any(kind in self.kinds for kind in shown)


class Confirmed:
    """A predicate that asks the quick look first, and then searches: the side must hold, too."""

    def __init__(self, shows: Shows, kind: Kind, searches_max: int, runs_max: int) -> None:
        self.shows = shows
        self.searches_max = searches_max
        self.runs_max = runs_max  # of one search
        self.sides = (kind.side, UNSETTLED)
        self.searches = 0

    def __call__(self, program: Program) -> bool:
        if not self.shows(program) or self.searches >= self.searches_max:
            return False
        self.searches += 1
        return self.settled(program)

    def settled(self, program: Program) -> bool:
        """Whether a small search leaves the kind as it is."""
        judgement = judge(program, self.shows.reference, self.shows.patched, self.runs_max)
        found = settled_as(self.shows.kinds[0], judgement)
        return found is not None and found.side in self.sides
