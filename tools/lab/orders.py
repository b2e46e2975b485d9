"""The serial orders of a program that its schedule allows.

On a real kernel nobody preempts inside an op, so a program runs there as a sequence of whole ops.
Run on the model, an op is an interval of steps; an order is allowed when an op whose interval ends
before another's begins also comes before it.  Without preemptions that is one order, the model's
own; a preemption makes two intervals overlap, and then either may come first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fuzz.execution import Execution, Plan
from fuzz.vocabulary import SETUP, Program
from reference.kvm import Kvm
from reference.observer import Observer
from tools.lab.case import Turn

ORDERS_MAX: Final = 16
_NEVER: Final = 1 << 60

Key = tuple[str, int]


class _Intervals:
    """A recorder of the first and the last step of each op."""

    def __init__(self) -> None:
        self.steps = 0
        self.first: dict[Key, int] = {}
        self.last: dict[Key, int] = {}

    def step(self, kvm: Kvm, actor: str, op: int, label: str) -> None:
        self.steps += 1
        self.first.setdefault((actor, op), self.steps)
        self.last[actor, op] = self.steps


def serial_orders(program: Program, limit: int = ORDERS_MAX) -> tuple[tuple[Turn, ...], ...]:
    """At most `limit` orders, the one in which ops end on the model first; setup leads each."""
    setup = tuple(Turn(SETUP, i, op) for i, op in enumerate(program.setup))
    turns = {
        (actor.name, i): Turn(actor.name, i, op)
        for actor in program.actors
        for i, op in enumerate(actor.ops)
    }
    begin, end = _intervals(program)
    # Ops that never began on the model (a deadlock before them) come last, as they are written.
    keys = sorted(turns, key=lambda key: (end.get(key, _NEVER), begin.get(key, _NEVER)))
    orders: list[tuple[Turn, ...]] = []
    for order in _extensions(keys, begin, end):
        orders.append(setup + tuple(turns[key] for key in order))
        if len(orders) == limit:
            break
    return tuple(orders)


def _intervals(program: Program) -> tuple[dict[Key, int], dict[Key, int]]:
    seen = _Intervals()
    run = Execution(Kvm, Plan.of(program), Observer(), seen).run()
    end = {key: step for key, step in seen.last.items() if key in run.results}
    return seen.first, end


def _extensions(
    keys: list[Key], begin: dict[Key, int], end: dict[Key, int]
) -> Iterator[tuple[Key, ...]]:
    """Every order of the keys that keeps what is before what, in a fixed sequence.

    The order given comes first: of those that may come next, the first is tried first.
    """

    def before(one: Key, other: Key) -> bool:
        if one[0] == other[0]:
            return one[1] < other[1]
        return end.get(one, _NEVER) < begin.get(other, _NEVER)

    def go(left: list[Key], done: tuple[Key, ...]) -> Iterator[tuple[Key, ...]]:
        if not left:
            yield done
        for key in left:
            if not any(before(other, key) for other in left if other is not key):
                yield from go([other for other in left if other is not key], (*done, key))

    return go(keys, ())
