"""The shrink passes: each a generator of simpler Programs; only the runner judges them.

Order matters for speed, not for the result: big cuts first.  Every candidate is well-formed and
strictly smaller by fuzz.edit.size, so the runner's loop ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from fuzz import edit
from fuzz.vocabulary import OPS, PAGE, Arg, Op, Program

Pass = Callable[[Program], Iterator[Program]]


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


def drop_waiting(program: Program) -> Iterator[Program]:
    """Exchange two actors, so that one need not begin by letting the other go first."""
    actors = program.actors
    for first in range(len(actors)):
        for second in range(first + 1, len(actors)):
            order = list(actors)
            order[first], order[second] = order[second], order[first]
            swapped = replace(program, actors=tuple(order))
            for actor in actors:
                if actor.ops and actor.ops[0].name == "nop":
                    yield edit.without_ops(swapped, actor.name, 0, 1)


def drop_preemptions(program: Program) -> Iterator[Program]:
    """Leave out all preemptions, then single ones."""
    if len(program.schedule) > 1:
        yield replace(program, schedule=())
    for at in range(len(program.schedule)):
        yield edit.without_preemption(program, at)


def drop_idle_actors(program: Program) -> Iterator[Program]:
    """Leave out actors that have nothing to do, and vCPUs that nobody is."""
    for actor in program.actors:
        if not actor.ops:
            yield edit.without_actor(program, actor.name)
    used = [int(a.name[4:]) for a in program.actors if a.name.startswith("vcpu")]
    needed = max(used, default=0) + 1
    if needed < program.vcpus:
        yield replace(program, vcpus=needed)


def blank_ops(program: Program) -> Iterator[Program]:
    """Turn single ops into ``nop``: they were there only to take a turn."""
    nop = Op("nop")
    for actor in program.actors:
        for at, op in enumerate(actor.ops):
            if op.name != "nop":
                yield edit.with_op(program, actor.name, at, nop)


def lower_arguments(program: Program) -> Iterator[Program]:
    """Replace single arguments by simpler values: the default, the simplest, halfway there."""
    places: list[tuple[str | None, int, Op]] = [
        (None, at, op) for at, op in enumerate(program.setup)
    ]
    places += [(a.name, at, op) for a in program.actors for at, op in enumerate(a.ops)]
    for name, at, op in places:
        for index, arg in enumerate(OPS[op.name].args):
            for value in _simpler(arg, op.args[index]):
                args = (*op.args[:index], value, *op.args[index + 1 :])
                yield edit.with_op(program, name, at, replace(op, args=args))


def _simpler(arg: Arg, value: int) -> Iterator[int]:
    """Values to try instead of one, all of smaller weight."""
    candidates: list[int] = []
    if arg.default is not None:
        candidates.append(arg.default)
    if arg.kind in ("int", "enum"):
        candidates += [0, 1, value // 2, value - 1]
    elif arg.kind == "addr":
        candidates += [0, PAGE, *_lower(0, value)]
    elif arg.kind == "hva":
        base = value >> 30 << 30
        candidates += [1 << 30, base, *_lower(base, value)]
    elif arg.kind == "flags":
        candidates += [value & ~bit for bit in arg.choices.values() if value & bit]
    elif arg.kind == "fd":
        candidates.append(0)
    weight = edit.argument_weight(arg, value)
    seen: list[int] = []
    for candidate in candidates:
        lighter = (edit.argument_weight(arg, candidate), abs(candidate)) < (weight, abs(value))
        wellformed = candidate >= 0 or candidate == arg.default
        if lighter and wellformed and candidate not in seen:
            seen.append(candidate)
            yield candidate


def _lower(base: int, value: int) -> list[int]:
    """Page-aligned values between base and value: halfway, and one page less when that is near."""
    half = base + (value - base) // 2 // PAGE * PAGE
    near = 0 < value - base <= 16 * PAGE
    return [half, value - PAGE] if near else [half]


def earlier_preemptions(program: Program) -> Iterator[Program]:
    """Take each preemption at its first occurrence."""
    for at, p in enumerate(program.schedule):
        if p.occurrence > 1:
            first = replace(p, occurrence=1)
            yield replace(
                program, schedule=(*program.schedule[:at], first, *program.schedule[at + 1 :])
            )


PASSES: Final[tuple[Pass, ...]] = (
    drop_actors,
    drop_op_blocks,
    drop_rounds,
    drop_waiting,
    drop_setup_blocks,
    drop_preemptions,
    drop_idle_actors,
    earlier_preemptions,
    blank_ops,
    lower_arguments,
)
