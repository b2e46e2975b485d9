"""This is the random loop: draw a program, look, and make a finding of what is new.

Most programs get the quick look only.  What becomes of a hit is up to fuzz/triage.py; what a
shrink meets on its way is followed up like a hit.

Nothing here looks at a clock except through the callable it is given, and with a count instead
of a time limit nothing depends on it: the same seed gives the same findings in the same order.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from fuzz.codec import random_program
from fuzz.execution import HarnessError
from fuzz.finding import Finding, Kind, kinds_of
from fuzz.judge import PATCHED_ONLY, Judgement, Verdict, compare
from fuzz.overlay import Model
from fuzz.search import RUNS_MAX
from fuzz.strategies.named import REPLAY, make_strategy
from fuzz.strategies.pct import DEPTH
from fuzz.tolerance import benefit
from fuzz.triage import FollowUp, Triage
from fuzz.twins import Twins
from fuzz.vocabulary import Program
from reference.features import Profile


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
    strategy: str = REPLAY  # who goes on when: of fuzz/strategies/named.py
    depth: int = DEPTH  # of PCT


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
        self.twins = Twins(reference, patched)
        self.rng = random.Random(settings.seed)
        self.strategy = (
            make_strategy(settings.strategy, settings.seed, settings.depth)
            if settings.strategy != REPLAY
            else None
        )
        self.totals = Totals()
        self.kept: dict[Kind, Finding] = {}
        self.triage = Triage(reference, patched, settings.runs_max, settings.profiles)
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
        if self.strategy is None:
            ours, theirs = self.twins.run(program)
        else:
            program, ours, theirs = self.twins.drive(program, self.strategy)
        totals.steps += ours.steps + theirs.steps
        for name, (old, new) in benefit(ours, theirs).items():
            sums = totals.benefit.setdefault(name, [0, 0])
            sums[0] += old
            sums[1] += new
        quick = compare(program, self.patched, ours, theirs)
        if quick is None:
            return
        totals.hits += 1
        if quick.verdict is Verdict.INCONCLUSIVE:
            totals.inconclusive += 1
        met = self._follow(program, kinds_of(quick))
        while met:
            kind, smaller = met.pop(0)
            met += self._follow(smaller, [kind])

    def _follow(self, program: Program, kinds: list[Kind]) -> list[tuple[Kind, Program]]:
        """Follow up kinds that a program shows; returns what else was met, and not yet seen."""
        memory, totals = self.triage.memory, self.totals
        met: list[tuple[Kind, Program]] = []
        first: Judgement | None = None
        for seen_as in kinds:
            if seen_as in memory.same:
                totals.seen[seen_as] += 1
            elif memory.worth(seen_as):
                first = first or self.triage.first_look(program)
                done = self.triage.follow(program, seen_as, first)
                self._count(done)
                met += memory.new(done.others)
            else:
                totals.unjudged += 1
        return met

    def _count(self, done: FollowUp) -> None:
        """Add up what became of one kind, and tell of a finding."""
        totals = self.totals
        if done.kind is not None:
            totals.seen[done.kind] += 1
        elif done.inconclusive:
            totals.inconclusive += 1
        else:
            totals.drift += 1
        if done.finding is not None and done.kind is not None:
            self.kept[done.kind] = done.finding
            self.listener.found(done.finding)
        for program, error in done.crashed[:1]:
            totals.errors += 1
            self.listener.failed(program, error)

    def results(self) -> list[Finding]:
        """The findings, those that speak against the patch first, with how often each was seen."""
        counted = [replace(f, seen=self.totals.seen[kind]) for kind, f in self.kept.items()]
        return sorted(counted, key=lambda f: (f.kind.side != PATCHED_ONLY, f.fingerprint))
