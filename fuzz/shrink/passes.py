"""The shrink passes: each a generator of simpler Programs; only the runner judges them.

Every candidate is well-formed and strictly smaller by fuzz/size.py, so the runner's loop ends.
Passes that take things away come first: what they remove, no later pass needs to look at.  Passes
that only change the profile come last, when nothing can be taken away any more, so that a move to
a plainer profile cannot stand in the way of a smaller program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations
from typing import Final

from fuzz import edit
from fuzz.labels import STEP_LABELS
from fuzz.size import BEGIN
from fuzz.vocabulary import OPS, Actor, Op, Preemption, Program

Pass = Callable[[Program], Iterator[Program]]
PERMUTED_MAX: Final = 3  # so many actors are tried in every order, more only by exchanges
MANY_PREEMPTIONS: Final = 8  # from more on, blocks of them are left out first; strategies make many


def drop_actors(program: Program) -> Iterator[Program]:
    """Leave out one actor."""
    for actor in program.actors:
        yield edit.without_actor(program, actor.name)


def drop_op_blocks(program: Program) -> Iterator[Program]:
    """Leave out runs of neighbouring ops, longest first, last ones first."""
    for actor in program.actors:
        count = len(actor.ops)
        while count:
            for at in range(len(actor.ops) - count, -1, -1):
                yield edit.without_ops(program, actor.name, at, count)
            count //= 2


def drop_setup_blocks(program: Program) -> Iterator[Program]:
    """Leave out runs of setup ops, longest first."""
    count = len(program.setup)
    while count:
        for at in range(len(program.setup) - count, -1, -1):
            yield edit.without_setup(program, at, count)
        count //= 2


def drop_rounds(program: Program) -> Iterator[Program]:
    """Leave out one op of every actor at once, so that their turns stay side by side."""
    rounds = max((len(actor.ops) for actor in program.actors), default=0)
    for at in range(rounds - 1, -1, -1):
        smaller = program
        for actor in program.actors:
            if at < len(actor.ops):
                smaller = edit.without_ops(smaller, actor.name, at, 1)
        yield smaller


def drop_pairs(program: Program) -> Iterator[Program]:
    """Leave out any two ops: one may have been there only to undo the other."""
    places = [(None, at) for at in range(len(program.setup))]
    every = [*places, *((a.name, at) for a in program.actors for at in range(len(a.ops)))]
    for second in range(len(every) - 1, 0, -1):
        smaller = _without(program, every[second])
        for first in range(second - 1, -1, -1):
            yield _without(smaller, every[first])


def _without(program: Program, place: tuple[str | None, int]) -> Program:
    name, at = place
    if name is None:
        return edit.without_setup(program, at, 1)
    return edit.without_ops(program, name, at, 1)


def drop_and_reorder(program: Program) -> Iterator[Program]:
    """Leave out one op and change the order of actors: it was there to let another go first."""
    for reordered in _reordered(program):
        for actor in program.actors:
            for at in range(len(actor.ops)):
                yield edit.without_ops(reordered, actor.name, at, 1)


def drop_preemptions(program: Program) -> Iterator[Program]:
    """Leave out all preemptions, then blocks of them when there are many, then single ones."""
    count = len(program.schedule)
    if count > 1:
        yield replace(program, schedule=())
    block = count // 2
    while count > MANY_PREEMPTIONS and block > 1:
        for at in range(0, count, block):
            left = (*program.schedule[:at], *program.schedule[at + block :])
            yield replace(program, schedule=left)
        block //= 2
    for at in range(len(program.schedule)):
        yield edit.without_preemption(program, at)


def reorder_instead(program: Program) -> Iterator[Program]:
    """Let another actor begin, instead of a preemption."""
    for at in range(len(program.schedule)):
        yield from _reordered(edit.without_preemption(program, at))


def preempt_once_instead(program: Program) -> Iterator[Program]:
    """One preemption, anywhere, instead of several."""
    if len(program.schedule) < 2:
        return
    for actor in program.actors:
        for at, op in enumerate(actor.ops):
            for label in (BEGIN, *STEP_LABELS.get(op.name, ())):
                for other in program.actors:
                    if other is not actor:
                        one = Preemption(actor.name, at, label, 1, other.name)
                        yield replace(program, schedule=(one,))


def _reordered(program: Program) -> Iterator[Program]:
    """The program with its actors in other orders."""
    actors = program.actors
    if len(actors) <= PERMUTED_MAX:
        for order in permutations(actors):
            if order != actors:
                yield replace(program, actors=order)
        return
    for first in range(len(actors)):
        for second in range(first + 1, len(actors)):
            exchanged = list(actors)
            exchanged[first], exchanged[second] = exchanged[second], exchanged[first]
            yield replace(program, actors=tuple(exchanged))


def merge_actors(program: Program) -> Iterator[Program]:
    """Let one actor do what two of a kind did: in turns, or one after the other."""
    for into in program.actors:
        for other in program.actors:
            if into is other or into.kind != other.kind:
                continue
            mine = [(into.name, at) for at in range(len(into.ops))]
            others = [(other.name, at) for at in range(len(other.ops))]
            in_turns = sorted(mine + others, key=lambda place: place[1])
            for order in (in_turns, mine + others, others + mine):
                yield edit.merged(program, into.name, other.name, order)


def drop_idle_actors(program: Program) -> Iterator[Program]:
    """Leave out actors that have nothing to do, and vCPUs that nobody is."""
    for actor in program.actors:
        if not actor.ops:
            yield edit.without_actor(program, actor.name)
    used = [int(a.name[4:]) for a in program.actors if a.name.startswith("vcpu")]
    needed = max(used, default=0) + 1
    if needed < program.vcpus:
        yield replace(program, vcpus=needed)


def renumber_actors(program: Program) -> Iterator[Program]:
    """Give an actor the lowest number that is free."""
    names = {actor.name for actor in program.actors}
    for actor in program.actors:
        number = int(actor.name.removeprefix(actor.kind))
        for free in range(number):
            if f"{actor.kind}{free}" not in names:
                yield edit.renamed(program, actor.name, f"{actor.kind}{free}")
                break


def move_to_setup(program: Program) -> Iterator[Program]:
    """Do an op before the actors begin: it has no part in the race."""
    for actor in program.actors:
        for at, op in enumerate(actor.ops):
            if set(OPS[op.name].actors) & {"vmm", "kthread"}:
                moved = edit.moved_to_setup(program, actor.name, at)
                yield moved
                yield from _reordered(moved)


def blank_ops(program: Program) -> Iterator[Program]:
    """Turn single ops into ``nop``: they were there only to take a turn."""
    nop = Op("nop")
    for actor in program.actors:
        for at, op in enumerate(actor.ops):
            if op.name != "nop":
                yield edit.with_op(program, actor.name, at, nop)


def earlier_preemptions(program: Program) -> Iterator[Program]:
    """Take each preemption at its first occurrence, and at the first label that will do."""
    by_name = {actor.name: actor.ops for actor in program.actors}
    for at, p in enumerate(program.schedule):
        if p.occurrence > 1:
            yield _with_preemption(program, at, replace(p, occurrence=1))
        labels = (BEGIN, *STEP_LABELS.get(by_name[p.actor][p.op].name, ()))
        taken = [(q.actor, q.op, q.label) for q in program.schedule]
        for label in labels[: labels.index(p.label)] if p.label in labels else labels:
            if (p.actor, p.op, label) not in taken:
                yield _with_preemption(program, at, replace(p, label=label, occurrence=1))


def _with_preemption(program: Program, at: int, p: Preemption) -> Program:
    return replace(program, schedule=(*program.schedule[:at], p, *program.schedule[at + 1 :]))


def sort_setup_and_actors(program: Program) -> Iterator[Program]:
    """Write setup ops and actors in the usual order where their order does not matter."""
    before = edit.size(program)
    for at in range(len(program.setup) - 1):
        first, second = program.setup[at : at + 2]
        setup = (*program.setup[:at], second, first, *program.setup[at + 2 :])
        exchanged = replace(program, setup=setup)
        if edit.size(exchanged) < before:
            yield exchanged
    for at in range(len(program.actors) - 1):
        one, two = program.actors[at : at + 2]
        actors: tuple[Actor, ...] = (*program.actors[:at], two, one, *program.actors[at + 2 :])
        exchanged = replace(program, actors=actors)
        if edit.size(exchanged) < before:
            yield exchanged


STRUCTURE: Final[tuple[Pass, ...]] = (
    drop_actors,
    drop_op_blocks,
    drop_rounds,
    drop_setup_blocks,
    drop_preemptions,
    drop_idle_actors,
    merge_actors,
    drop_and_reorder,
    drop_pairs,
    reorder_instead,
    preempt_once_instead,
    move_to_setup,
    blank_ops,
    renumber_actors,
    earlier_preemptions,
)
LAST: Final[tuple[Pass, ...]] = (sort_setup_and_actors,)
