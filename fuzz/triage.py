"""From a program that broke something to findings: settle, make small, keep once per kind.

A hit of the quick look is judged with a small search, which drops what is only schedule drift;
the rest is shrunk, judged with the whole budget, replayed from its text, and kept once per kind.
Each broken rule of a program is a kind of its own: a known one must not hide another.  Nothing
here looks at a clock or a file: the same program and memory give the same findings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from fuzz import edit
from fuzz.execution import HarnessError
from fuzz.finding import Finding, Kind, kinds_of
from fuzz.judge import (
    REFERENCE_ONLY,
    UNSETTLED,
    Judgement,
    Verdict,
    in_words,
    judge,
    suspicious,
)
from fuzz.overlay import Model
from fuzz.reduce import Reduced, Task, reduce
from fuzz.search import RUNS_MAX
from fuzz.shrink.predicates import QUICK_RUNS, settled_as
from fuzz.text import ProgramError, format_program, parse, validate
from fuzz.vocabulary import Program
from reference.features import PROFILES, Profile

FORMAT: Final = 1
# Kinds that so far were only drift are looked at this often, then every so many times.
DRIFT_LOOKS: Final = 12
DRIFT_STRIDE: Final = 8
# What the first look left open, and what came to nothing so often, gets no dear second try.
OPEN_LOOKS: Final = 2


@dataclass(slots=True)
class Memory:
    """What triage knows already, as plain data; seen_as kinds are those of the quick look."""

    same: set[Kind] = field(default_factory=set)  # seen_as kinds that need no second search
    vain: Counter[Kind] = field(default_factory=Counter)  # seen_as kinds -> looks for nothing
    kept: set[Kind] = field(default_factory=set)  # kinds of findings
    filed: set[Kind] = field(default_factory=set)  # seen_as kinds handed on by a shrink

    def worth(self, seen_as: Kind) -> bool:
        """Whether to look at a kind again; a look that is not taken is counted."""
        if seen_as in self.same:
            return False
        looks = self.vain[seen_as]
        if looks < DRIFT_LOOKS or looks % DRIFT_STRIDE == 0:
            return True
        self.vain[seen_as] += 1
        return False

    def new(self, others: Sequence[tuple[Kind, Program]]) -> list[tuple[Kind, Program]]:
        """Those that a shrink met and that nobody has handed on yet; they count as handed on."""
        fresh = [(k, p) for k, p in others if k not in self.filed and k not in self.same]
        self.filed.update(kind for kind, _ in fresh)
        return fresh

    def to_json(self) -> dict[str, Any]:
        """What workers have to know, and what the next run of triage starts from."""
        return {
            "format": FORMAT,
            "kinds": sorted([k.rule, k.site, k.side] for k in self.same),
            "vain": sorted([k.rule, k.site, k.side, n] for k, n in self.vain.items() if n),
        }

    @classmethod
    def from_json(cls, data: Any) -> Memory:
        """Read it back; ValueError for anything else."""
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError(f"is not format {FORMAT}")
        memory = cls()
        try:
            for rule, site, side in data["kinds"]:
                memory.same.add(Kind(str(rule), str(site), str(side)))
            for rule, site, side, looks in data["vain"]:
                memory.vain[Kind(str(rule), str(site), str(side))] = int(looks)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"holds no kinds ({error!r})") from error
        return memory


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What became of one kind that a program showed."""

    seen_as: Kind
    kind: Kind | None = None  # after the search; None when it was drift, or the search ran out
    finding: Finding | None = None  # only when it is new
    inconclusive: bool = False
    others: tuple[tuple[Kind, Program], ...] = ()  # what a shrink met besides
    crashed: tuple[tuple[Program, HarnessError], ...] = ()  # candidates on which our code failed


class Triage:
    """Follows up what fuzzing sees, on two models; remembers what it has seen."""

    def __init__(
        self,
        reference: Model,
        patched: Model,
        runs_max: int = RUNS_MAX,
        profiles: tuple[Profile, ...] = (),
        memory: Memory | None = None,
    ) -> None:
        self.reference = reference
        self.patched = patched
        self.runs_max = runs_max
        self.profiles = profiles
        self.memory = memory if memory is not None else Memory()

    def first_look(self, program: Program) -> Judgement:
        """The small search that comes before anything else."""
        return judge(program, self.reference, self.patched, QUICK_RUNS)

    def follow(self, program: Program, seen_as: Kind, first: Judgement) -> FollowUp:
        """Make a finding of one kind that a program shows, if it stays one and is new."""
        memory = self.memory
        kind = settled_as(seen_as, first)
        # What was left open once may be settled by another program, once that is small.
        if kind is None or (kind in memory.kept and kind.side != UNSETTLED):
            memory.vain[seen_as] += 1
            if kind == seen_as:
                memory.same.add(seen_as)
            return FollowUp(seen_as, kind, inconclusive=first.verdict is Verdict.INCONCLUSIVE)
        open_often = kind.side == UNSETTLED and memory.vain[seen_as] >= OPEN_LOOKS
        task = Task(
            seen_as,
            kind,
            self.reference,
            self.patched,
            self.runs_max,
            self.profiles,
            not open_often,
        )
        reduced = reduce(program, task)
        if reduced is None:  # nothing smaller shows it: keep it as it is
            judgement = judge(program, self.reference, self.patched, self.runs_max)
            last = settled_as(seen_as, judgement)
        else:
            judgement, last = reduced.judgement, reduced.kind
        others = reduced.others if reduced is not None else ()
        crashed = reduced.crashed if reduced is not None else ()
        if last is None or last in memory.kept:
            memory.vain[seen_as] += 1
            return FollowUp(seen_as, last, others=others, crashed=crashed)
        finding = self._finding(program, judgement, last, reduced)
        memory.kept.add(last)
        if last == seen_as:
            memory.same.add(seen_as)
        return FollowUp(seen_as, last, finding, others=others, crashed=crashed)

    def _finding(
        self, program: Program, judgement: Judgement, kind: Kind, reduced: Reduced | None
    ) -> Finding:
        before = 0 if reduced is None else edit.size(program)[0]
        judgement = in_words(judgement, self.reference, self.patched)
        finding = Finding.of(judgement, self.reference, self.patched, kind, before)
        return replayed(finding, self.reference, self.patched)


def replayed(finding: Finding, reference: Model, patched: Model) -> Finding:
    """The finding with two more facts: that its text shows it again, and on which profiles.

    Raises HarnessError when the text does not: then something that a program does not hold
    decides what happens.
    """
    text = format_program(finding.program)
    again = suspicious(parse(text), reference, patched)
    wanted = (finding.kind.rule, finding.kind.site)
    if again is None or wanted not in {(kind.rule, kind.site) for kind in kinds_of(again)}:
        shown = again.headline if again is not None else "nothing"
        raise HarnessError(f"the text of {finding.headline} shows {shown} when it is replayed")
    where = shows_on(finding.program, finding.kind, reference, patched)
    return replace(finding, replayed="1 of 1", shows_on=where)


def shows_on(program: Program, kind: Kind, reference: Model, patched: Model) -> tuple[str, ...]:
    """The profiles on which the program breaks the rule at this site on the side that matters."""
    found: list[str] = []
    for profile in PROFILES:
        moved = replace(program, profile=profile)
        try:
            validate(moved)
            again = suspicious(moved, reference, patched)
        except (ProgramError, HarnessError):  # no such VM type there; or ours, told elsewhere
            continue
        for shown in kinds_of(again) if again is not None else []:
            other_side = (shown.side == REFERENCE_ONLY) != (kind.side == REFERENCE_ONLY)
            if (shown.rule, shown.site) == (kind.rule, kind.site) and not other_side:
                found.append(str(profile))
                break
    return tuple(found)
