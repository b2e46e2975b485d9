"""Makes programs on which model and kernel differ small: ops go while the difference stays.

Every round is one boot for all programs at once: first each op is left out alone, then as many
of the ones that can go as can go together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from fuzz.vocabulary import SETUP, Actor, Op, Program
from tools.lab.case import Case, Turn
from tools.lab.conform.compare import Comparison

ROUNDS_MAX: Final = 12
Signature = tuple[str, str]  # the op at which the two part, and which value of it
Look = Callable[[Sequence[Case]], Sequence[Comparison]]


def signature(comparison: Comparison) -> Signature | None:
    """What kind of difference a comparison shows first; None when it shows none."""
    first = comparison.first_difference
    return None if first is None else (comparison.case.order[first.at].op.name, first.about)


def one_of_each(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """For each kind of difference the comparison that has the fewest ops before it."""
    best: dict[tuple[object, ...], Comparison] = {}
    for comparison in comparisons:
        first = comparison.first_difference
        if first is None:
            continue
        kind = (signature(comparison), first.model, first.kernel)
        held = best.get(kind)
        if held is None or first.at < _first_at(held):
            best[kind] = comparison
    return list(best.values())


def shrink(comparisons: Sequence[Comparison], look: Look) -> list[Comparison]:
    """Make each smaller for as long as its kind of difference stays.  look: run and compare."""
    best = [_cut(comparison) for comparison in comparisons]
    kinds = [signature(comparison) for comparison in comparisons]
    open_ones = list(range(len(best)))
    for _ in range(ROUNDS_MAX):
        singles = {at: _without_each(best[at].case) for at in open_ones}
        alone = _ask(singles, kinds, look)
        removable = {at: [n for n, yes in enumerate(alone[at]) if yes] for at in open_ones}
        open_ones = [at for at in open_ones if removable[at]]
        if not open_ones:
            break
        together = {
            at: [
                without(best[at].case, removable[at][:count])
                for count in range(len(removable[at]), 0, -1)
            ]
            for at in open_ones
        }
        kept = _ask(together, kinds, look)
        for at in open_ones:
            best[at] = next(each for each in kept[at] if each is not None)
    return best


def _ask(
    variants: dict[int, list[Case]], kinds: Sequence[Signature | None], look: Look
) -> dict[int, list[Comparison | None]]:
    """Run all variants of all programs; those that keep their kind, the others None."""
    seen = iter(look([case for cases in variants.values() for case in cases]))
    answers: dict[int, list[Comparison | None]] = {}
    for at, cases in variants.items():
        answers[at] = []
        for _ in cases:
            comparison = next(seen)
            same = signature(comparison) == kinds[at]
            answers[at].append(_cut(comparison) if same else None)
    return answers


def _first_at(comparison: Comparison) -> int:
    first = comparison.first_difference
    assert first is not None
    return first.at


def _cut(comparison: Comparison) -> Comparison:
    """The same without the ops after the difference."""
    order = comparison.case.order
    later = range(_first_at(comparison) + 1, len(order))
    return replace(comparison, case=without(comparison.case, list(later)))


def _without_each(case: Case) -> list[Case]:
    return [without(case, [at]) for at in range(len(case.order))]


def without(case: Case, gone: Sequence[int]) -> Case:
    """A case without some turns of its order."""
    left = [turn for at, turn in enumerate(case.order) if at not in set(gone)]
    return case_of(case, left)


def case_of(case: Case, turns: Sequence[Turn]) -> Case:
    """The same case with these turns instead, numbered anew."""
    ops: dict[str, list[Op]] = {SETUP: []}
    order: list[Turn] = []
    for turn in turns:
        mine = ops.setdefault(turn.actor, [])
        order.append(Turn(turn.actor, len(mine), turn.op))
        mine.append(turn.op)
    setup = tuple(ops.pop(SETUP))
    actors = tuple(Actor(name, tuple(done)) for name, done in ops.items())
    program = replace(case.program, setup=setup, actors=actors)
    return replace(case, program=program, order=tuple(order))


def round_robin(case: Case) -> Program:
    """A program that runs in the case's order when actors take turns: nops fill the gaps."""
    program = case.program
    names = [actor.name for actor in program.actors]
    wanted = [turn for turn in case.order if turn.actor != SETUP]
    ops: dict[str, list[Op]] = {name: [] for name in names}
    at = 0
    turn = 0
    while at < len(wanted):
        name = names[turn % len(names)]
        turn += 1
        if wanted[at].actor == name:
            ops[name].append(wanted[at].op)
            at += 1
        elif any(later.actor == name for later in wanted[at:]):
            ops[name].append(Op("nop"))
    actors = tuple(Actor(name, tuple(ops[name])) for name in names)
    return replace(program, actors=actors)
