"""This is the random loop: draw a program, look, and make a finding of what is new.

Most programs get the quick look only.  A hit is judged with a small search, which drops what is
only schedule drift; the rest is shrunk, judged with the whole budget, and kept once per kind.
Each broken rule of a program is a kind of its own: a known one must not hide another.

Nothing here looks at a clock except through the callable it is given, and with a count instead
of a time limit nothing depends on it: the same seed gives the same findings in the same order.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from fuzz import edit
from fuzz.codec import random_program
from fuzz.execution import HarnessError
from fuzz.finding import Finding, Kind, kinds_of
from fuzz.judge import (
    PATCHED_ONLY,
    UNSETTLED,
    Judgement,
    Verdict,
    compare,
    judge,
    run_both,
    suspicious,
)
from fuzz.overlay import Model
from fuzz.search import RUNS_MAX
from fuzz.shrink.runner import Shrunk, shrink
from fuzz.tolerance import benefit
from fuzz.vocabulary import Program
from reference.features import Profile

QUICK_RUNS: Final = 500
SHRINK_ATTEMPTS: Final = 3000
CONFIRMED_ATTEMPTS: Final = 300
# Kinds that so far were only drift are looked at this often, then every so many times.
DRIFT_LOOKS: Final = 12
DRIFT_STRIDE: Final = 8


@dataclass(frozen=True, slots=True)
class Settings:
    """What to draw, and when to stop; None means no such limit."""

    seed: int = 0
    count: int | None = None
    seconds: float | None = None
    findings_max: int | None = None
    profiles: tuple[Profile, ...] = ()  # empty: any
    ops_min: int = 4
    ops_max: int = 24
    runs_max: int = RUNS_MAX
    keep_going: bool = False  # after an internal error


@dataclass(slots=True)
class Totals:
    """What the loop has done so far."""

    programs: int = 0
    steps: int = 0  # on both sides
    hits: int = 0  # programs with a broken rule or a difference
    drift: int = 0  # hits that the other side can do too, under another schedule
    inconclusive: int = 0
    unjudged: int = 0  # hits passed over because their kind was drift many times
    errors: int = 0
    seen: Counter[Kind] = field(default_factory=Counter)  # per kept kind, how often
    benefit: dict[str, list[int]] = field(default_factory=dict)


class Listener(Protocol):
    """Is told what the loop does, while it does it."""

    def found(self, finding: Finding) -> None:
        """A new kind of finding was made."""

    def progress(self, totals: Totals) -> None:
        """One more program was run."""

    def failed(self, program: Program, error: HarnessError) -> None:
        """Our own code failed on a program."""


def shows(kind: Kind, reference: Model, patched: Model) -> Callable[[Program], bool]:
    """A predicate: the quick look shows this very kind, side included."""

    def still(program: Program) -> bool:
        again = suspicious(program, reference, patched)
        return again is not None and kind in kinds_of(again)

    return still


def confirmed(
    seen_as: Kind, kind: Kind, reference: Model, patched: Model
) -> Callable[[Program], bool]:
    """A predicate that searches as well, for when the quick look let the shrinker slip."""
    quick = shows(seen_as, reference, patched)

    def still(program: Program) -> bool:
        if not quick(program):
            return False
        return kind in settled_kinds(judge(program, reference, patched, QUICK_RUNS))

    return still


def settled_kinds(judgement: Judgement) -> list[Kind]:
    """The kinds that a whole judgement stands by."""
    return kinds_of(judgement) if judgement.verdict >= Verdict.DIVERGE else []


def settled_as(seen_as: Kind, judgement: Judgement) -> Kind | None:
    """What a kind of the quick look is after the search; None when nothing is left of it."""
    for kind in settled_kinds(judgement):
        if (kind.rule, kind.site) == (seen_as.rule, seen_as.site):
            return kind
    return None


@dataclass(slots=True)
class Reduced:
    """A program made small, what it shows, and how the shrinker got there."""

    judgement: Judgement
    kind: Kind
    shrunk: Shrunk


def reduce(
    program: Program, seen_as: Kind, kind: Kind, reference: Model, patched: Model, runs_max: int
) -> Reduced | None:
    """Shrink a program that shows `kind` (in the quick look `seen_as`), and judge the result.

    The quick look is cheap but may let the shrinker slip to a program whose hit is only drift;
    then it is done again with a search in each step.  None when even that loses it.
    """
    bare = edit.without_expectations(program)
    steps: tuple[tuple[Callable[[Program], bool], int], ...] = (
        (shows(seen_as, reference, patched), SHRINK_ATTEMPTS),
        (confirmed(seen_as, kind, reference, patched), CONFIRMED_ATTEMPTS),
    )
    open_side = kind.side == UNSETTLED
    for predicate, attempts_max in steps:
        small = shrink(bare, predicate, attempts_max)
        judgement = judge(small.program, reference, patched, runs_max)
        found = settled_as(seen_as, judgement)
        if found is not None and (found.side == kind.side or open_side):
            return Reduced(judgement, found, small)
    return None


class Hunt:
    """One random run."""

    def __init__(
        self,
        settings: Settings,
        reference: Model,
        patched: Model,
        listener: Listener,
        clock: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.reference = reference
        self.patched = patched
        self.listener = listener
        self.clock = clock
        self.rng = random.Random(settings.seed)
        self.totals = Totals()
        self.kept: dict[Kind, Finding] = {}
        self.same: set[Kind] = set()  # kinds of the quick look that need no second search
        self.vain: Counter[Kind] = Counter()  # kinds of the quick look -> looks that gave nothing
        self.start = clock()

    def run(self) -> Totals:
        """Run programs until a limit is reached."""
        totals = self.totals
        while not self._done():
            profiles = self.settings.profiles
            profile = profiles[totals.programs % len(profiles)] if profiles else None
            program = random_program(
                self.rng, profile, self.settings.ops_min, self.settings.ops_max
            )
            try:
                self._one(program)
            except HarnessError as error:
                totals.errors += 1
                self.listener.failed(program, error)
                if not self.settings.keep_going:
                    break
            self.listener.progress(totals)
        return totals

    def _done(self) -> bool:
        settings, totals = self.settings, self.totals
        if settings.count is not None and totals.programs >= settings.count:
            return True
        if settings.findings_max is not None and len(self.kept) >= settings.findings_max:
            return True
        return settings.seconds is not None and self.clock() - self.start >= settings.seconds

    def _one(self, program: Program) -> None:
        """Look at one program, and follow up each kind that it shows."""
        totals = self.totals
        totals.programs += 1
        ours, theirs = run_both(program, self.reference, self.patched)
        totals.steps += ours.steps + theirs.steps
        for name, (old, new) in benefit(ours, theirs).items():
            sums = totals.benefit.setdefault(name, [0, 0])
            sums[0] += old
            sums[1] += new
        quick = compare(program, self.patched, ours, theirs)
        if quick is None:
            return
        totals.hits += 1
        judged: Judgement | None = None
        if quick.verdict is Verdict.INCONCLUSIVE:
            totals.inconclusive += 1
        for seen_as in kinds_of(quick):
            if seen_as in self.same:
                totals.seen[seen_as] += 1
            elif self._worth(seen_as):
                judged = judged or judge(program, self.reference, self.patched, QUICK_RUNS)
                self._follow(program, seen_as, judged)
            else:
                totals.unjudged += 1

    def _worth(self, seen_as: Kind) -> bool:
        vain = self.vain[seen_as]
        if vain < DRIFT_LOOKS or vain % DRIFT_STRIDE == 0:
            return True
        self.vain[seen_as] += 1
        return False

    def _follow(self, program: Program, seen_as: Kind, judged: Judgement) -> None:
        """Make a finding of one kind that a program shows, if it stays one."""
        kind = settled_as(seen_as, judged)
        if kind is None or kind in self.kept:
            self.vain[seen_as] += 1
            if kind is not None:
                self.totals.seen[kind] += 1
            elif judged.verdict is Verdict.INCONCLUSIVE:
                self.totals.inconclusive += 1
            else:
                self.totals.drift += 1
            return
        reduced = reduce(
            program, seen_as, kind, self.reference, self.patched, self.settings.runs_max
        )
        if reduced is None:  # nothing smaller shows it: keep it as it is
            judgement = judge(program, self.reference, self.patched, self.settings.runs_max)
            last = settled_as(seen_as, judgement)
        else:
            judgement, last = reduced.judgement, reduced.kind
        if last is None or last in self.kept:
            self.vain[seen_as] += 1
            self.totals.drift += last is None
            if last is not None:
                self.totals.seen[last] += 1
            return
        before = 0 if reduced is None else edit.size(program)[0]
        finding = Finding.of(judgement, self.reference, self.patched, last, before)
        self.kept[last] = finding
        self.totals.seen[last] += 1
        if last == seen_as:
            self.same.add(seen_as)
        self.listener.found(finding)

    def results(self) -> list[Finding]:
        """The findings, those that speak against the patch first, with how often each was seen."""
        counted = [replace(f, seen=self.totals.seen[kind]) for kind, f in self.kept.items()]
        return sorted(counted, key=lambda f: (f.kind.side != PATCHED_ONLY, f.fingerprint))
