"""In which order a program's ops run, and whether one thread can do them.

A program is *serial* when, on both sides, every op ends before the next one begins.  One that is
not may still break its rule in some serial order, which is worth far more on a real kernel than a
race: such an order is looked for before a program becomes threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from fuzz.execution import End, Execution, Plan, Run
from fuzz.finding import Kind
from fuzz.judge import BOTH, PATCHED_ONLY, REFERENCE_ONLY, STUCK_RULES
from fuzz.overlay import Model
from fuzz.search import execute, oracles_for
from fuzz.vocabulary import SETUP, Actor, Op, Program
from reference.kvm import Kvm
from tools.lab.case import Turn

ORDERS_MAX: Final = 2_000
NOP: Final = Op("nop")


class _Order:
    """A recorder that keeps which op each step belonged to; neighbours of one op count once."""

    def __init__(self) -> None:
        self.keys: list[tuple[str, int]] = []

    def step(self, kvm: Kvm, actor: str, op: int, label: str) -> None:
        """Note a step, if it is another op's than the last."""
        if not self.keys or self.keys[-1] != (actor, op):
            self.keys.append((actor, op))


def turns_of(program: Program) -> tuple[Turn, ...]:
    """The actors' ops without nops, actor by actor."""
    return tuple(
        Turn(actor.name, index, op)
        for actor in program.actors
        for index, op in enumerate(actor.ops)
        if op.name != "nop"
    )


def _stretches(program: Program, model: Model) -> tuple[list[tuple[str, int]], Run]:
    """Which op ran, stretch by stretch, on one side; the setup's left out."""
    order = _Order()
    python = replace(model, runner=None)
    run = Execution(python.kvm, Plan.of(program), oracles_for(python), order).run()
    return [key for key in order.keys if key[0] != SETUP], run


def _natural(program: Program, model: Model) -> list[tuple[str, int]] | None:
    """The ops in the order in which one side does them; None when two of them overlap."""
    keys, run = _stretches(program, model)
    ended = run.end is End.FINISHED
    return keys if ended and len(set(keys)) == len(keys) else None


def phases(program: Program, model: Model) -> tuple[tuple[Turn, ...], ...]:
    """The ops in groups: those of one group overlap, those of different groups do not."""
    keys, run = _stretches(program, model)
    first = {key: keys.index(key) for key in dict.fromkeys(keys)}
    last = {key: at if key in run.results else len(keys) for at, key in enumerate(keys)}
    turns = {(turn.actor, turn.index): turn for turn in turns_of(program)}
    groups: list[list[Turn]] = []
    end = -1
    for key in first:  # in the order in which they begin
        if first[key] > end:
            groups.append([])
        end = max(end, last[key])
        if key in turns:
            groups[-1].append(turns[key])
    never = [turn for key, turn in turns.items() if key not in first]
    return tuple(tuple(group) for group in (*groups, never) if group)


def natural_order(program: Program, reference: Model, patched: Model) -> tuple[Turn, ...] | None:
    """The order in which both sides do the program's ops one after the other; None if none is.

    An op that never ends, or never begins, makes it None as well.
    """
    ours, theirs = _natural(program, reference), _natural(program, patched)
    if ours is None or ours != theirs:
        return None
    turns = {(turn.actor, turn.index): turn for turn in turns_of(program)}
    order = tuple(turns[key] for key in ours if key in turns)
    return order if len(order) == len(turns) else None


def in_order(program: Program, order: Sequence[Turn]) -> Program:
    """The same ops as a program that does them in this order, with nops to wait in between.

    Op number i of every actor is a nop, except for the one whose turn it is.
    """
    names = [actor.name for actor in program.actors]
    names += sorted({turn.actor for turn in order} - set(names))
    actors = tuple(
        Actor(name, tuple(turn.op if turn.actor == name else NOP for turn in order))
        for name in names
    )
    return replace(program, actors=actors if order else (), schedule=())


def merges(program: Program) -> Iterator[tuple[Turn, ...]]:
    """Every serial order of the actors' ops, those with the fewest changes of actor first."""
    queues = [
        tuple(turn for turn in turns_of(program) if turn.actor == actor.name)
        for actor in program.actors
    ]

    def grow(done: tuple[Turn, ...], at: tuple[int, ...]) -> Iterator[tuple[Turn, ...]]:
        open_ = [i for i, queue in enumerate(queues) if at[i] < len(queue)]
        if not open_:
            yield done
        open_.sort(key=lambda i: not (done and queues[i][at[i]].actor == done[-1].actor))
        for i in open_:
            yield from grow((*done, queues[i][at[i]]), (*at[:i], at[i] + 1, *at[i + 1 :]))

    return grow((), (0,) * len(queues))


def serial_witness(
    program: Program, kind: Kind, reference: Model, patched: Model
) -> tuple[Turn, ...] | None:
    """A serial order that breaks the kind's rule at its site on the kind's side; None if none of
    the first ORDERS_MAX does."""
    if kind.rule in STUCK_RULES:
        return None
    wanted = {
        PATCHED_ONLY: (False, True), REFERENCE_ONLY: (True, False), BOTH: (True, True),
    }.get(kind.side, (False, True))  # fmt: skip
    for order in islice(merges(program), ORDERS_MAX):
        plan = Plan.of(in_order(program, order))
        broken = [
            (kind.rule, kind.site) in execute(model, plan.program, plan).kvm.violations
            for model in (reference, patched)
        ]
        if tuple(broken) == wanted:
            return order
    return None
