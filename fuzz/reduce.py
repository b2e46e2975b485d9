"""Make a program small that shows a kind of finding, and judge what is left.

Shrinking goes by the quick look, which takes a fraction of a second and is nearly always right.
When the judge then says that the small program shows something else, the way there is bisected
for the last program that was still right, and from there on every step is searched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fuzz import edit
from fuzz.execution import HarnessError
from fuzz.finding import Kind
from fuzz.judge import BOTH, UNSETTLED, Judgement, judge
from fuzz.overlay import Model
from fuzz.shrink.predicates import (
    OPEN_RUNS,
    OPEN_SEARCHES_MAX,
    QUICK_RUNS,
    SEARCHES_MAX,
    Confirmed,
    Shows,
    settled_as,
)  # fmt: skip
from fuzz.shrink.runner import Shrunk, shrink
from fuzz.vocabulary import Program
from reference.features import Profile

SHRINK_ATTEMPTS: Final = 5000


@dataclass(frozen=True, slots=True)
class Task:
    """What to make small: a kind, how the quick look showed it, and where to look."""

    seen_as: Kind
    kind: Kind  # after a search
    reference: Model
    patched: Model
    runs_max: int
    profiles: tuple[Profile, ...] = ()  # that a smaller program may move to; empty: all
    again: bool = True  # try again with searches when the quick look let the shrinker slip

    @property
    def shown(self) -> tuple[Kind, ...]:
        """Kinds of the quick look that count as the same finding."""
        if self.kind.side != BOTH:
            return (self.seen_as,)
        return tuple(dict.fromkeys((self.seen_as, replace(self.kind, side=BOTH))))

    def accepts(self, found: Kind | None) -> bool:
        """Whether a judgement of the small program still is the finding."""
        if found is None:
            return False
        if self.kind.side == UNSETTLED:  # a smaller program may well be settled
            return found.side in (self.seen_as.side, UNSETTLED)
        return found.side == self.kind.side


@dataclass(slots=True)
class Reduced:
    """A program made small, what it shows, how the shrinker got there, and what else it met."""

    judgement: Judgement
    kind: Kind
    shrunk: Shrunk
    others: tuple[tuple[Kind, Program], ...] = ()
    crashed: tuple[tuple[Program, HarnessError], ...] = ()


def reduce(program: Program, task: Task) -> Reduced | None:
    """The program made small and judged; None when no smaller program shows the finding."""
    bare = edit.without_expectations(program)
    shows = Shows(task.shown, task.reference, task.patched)
    small = shrink(bare, shows, SHRINK_ATTEMPTS, task.profiles)
    judgement, found = _judged(small.program, task)
    if not task.accepts(found) and task.again:
        again = _again([bare, *small.chain], task, shows)
        judgement_again, found_again = _judged(again.program, task)
        if task.accepts(found_again) or found is None:
            small, judgement, found = again, judgement_again, found_again
    if found is None or not (task.accepts(found) or task.kind.side == UNSETTLED):
        return None
    others = tuple(sorted(shows.others.items(), key=lambda item: item[0].fingerprint))
    return Reduced(judgement, found, small, others, tuple(shows.crashed))


def _again(chain: Sequence[Program], task: Task, shows: Shows) -> Shrunk:
    """Shrink once more from the last program of a chain that was right, searching each time."""
    if task.kind.side == UNSETTLED:
        confirmed = Confirmed(shows, task.seen_as, OPEN_SEARCHES_MAX, OPEN_RUNS)
    else:
        confirmed = Confirmed(shows, task.kind, SEARCHES_MAX, QUICK_RUNS)
    last = _last_right(chain, confirmed.settled)
    small = shrink(last, confirmed, SHRINK_ATTEMPTS, task.profiles)
    small.minimal = small.minimal and confirmed.searches < confirmed.searches_max
    return small


def _judged(program: Program, task: Task) -> tuple[Judgement, Kind | None]:
    judgement = judge(program, task.reference, task.patched, task.runs_max)
    return judgement, settled_as(task.seen_as, judgement)


def _last_right(chain: Sequence[Program], right: Callable[[Program], bool]) -> Program:
    """A late program of a chain that is right, when the first is and the last is not."""
    good, bad = 0, len(chain) - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        if right(chain[middle]):
            good = middle
        else:
            bad = middle
    return chain[good]
