"""What "smaller" means for a Program: the one order that every shrink pass goes down in.

Compared from left to right, most important first:

1. ops, setup included       what a reader has to follow
2. preemptions               each is a race that has to be understood
3. actors                    each is a lane of the timeline
4. profile                   how far it is from the plainest one
5. ops outside the setup     what comes before the race is only a list
6. plainness of the ops      `read` before `write`, `munmap` before what unmaps in passing
7. weight                    arguments that are written down, and how long they are
8. numbers                   addresses, sizes, numbers of actors, places of preemptions
9. disorder                  so that two ways to write the same come out alike

The profile stands behind what can be counted in the program: a plainer profile is worth nothing
if it needs one more op.  It stands before the weight, because a reader has to know the machine
before any argument means something.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from fuzz.labels import STEP_LABELS
from fuzz.vocabulary import OPS, Actor, Arg, Op, Preemption, Program
from reference.features import MMUS, Profile

# The plainest first: the newest release, two-dimensional paging.
KERNEL_ORDER: Final = ("v7.2", "v7.3", "v6.18")
MMU_ORDER: Final = MMUS
FRAMES_PLAIN: Final = 64  # what a program has that says nothing about it
BEGIN: Final = "begin"  # as in fuzz/execution.py

# The plainest of those that do much the same; all others follow in the vocabulary's order.
_PLAIN_OPS: Final = (
    "nop", "read", "write", "munmap", "user_read", "user_write", "migrate", "gpc_activate",
    "gpc_read",
)  # fmt: skip
_SETUP_FIRST: Final = ("create_gmem", "mmap", "set_region")
_ACTORS_FIRST: Final = ("vcpu", "vmm", "kthread")


def size(program: Program) -> tuple[int, ...]:
    """The program's place in the order: of two programs, the smaller compares less."""
    ops = [op for a in program.actors for op in a.ops]
    every = (*ops, *program.setup)
    return (
        len(every),
        len(program.schedule),
        len(program.actors),
        profile_distance(program.profile, program.vm),
        len(ops),
        sum(plainness(op.name) for op in every),
        _weight(program, every),
        _numbers(program, every),
        _disorder([_setup_key(op) for op in program.setup])
        + _disorder([actor_key(actor) for actor in program.actors]),
    )


def profile_distance(profile: Profile, vm: str = "default") -> int:
    """How far a profile is from the plainest: first in how many ways, then how."""
    kernel, mmu = KERNEL_ORDER.index(profile.kernel), MMU_ORDER.index(profile.mmu)
    special = vm != "default"
    return 100 * ((kernel > 0) + (mmu > 0) + special) + 10 * mmu + kernel


@cache
def plainness(name: str) -> int:
    """How much an op does beyond what its plainest relative does; less is plainer."""
    if name in _PLAIN_OPS:
        return _PLAIN_OPS.index(name)
    return len(_PLAIN_OPS) + list(OPS).index(name)


def label_place(op: Op, preemption: Preemption) -> int:
    """Where a preemption's label stands among those of its op; the op's begin comes first."""
    labels = STEP_LABELS.get(op.name, ())
    if preemption.label == BEGIN:
        return 0
    return 1 + (labels.index(preemption.label) if preemption.label in labels else len(labels))


def argument_weight(arg: Arg, value: int) -> int:
    """How much an argument costs a reader: nothing when it is left out."""
    return 0 if value == arg.default else 1 + abs(value).bit_length()


def actor_key(actor: Actor) -> tuple[int, int]:
    """Where an actor is looked for: vCPUs, VMM threads, kernel threads."""
    return _ACTORS_FIRST.index(actor.kind), int(actor.name.removeprefix(actor.kind))


def _weight(program: Program, ops: tuple[Op, ...]) -> int:
    weight = sum(
        argument_weight(arg, value)
        for op in ops
        for arg, value in zip(OPS[op.name].args, op.args, strict=True)
    )
    return weight + program.vcpus + abs(program.frames - FRAMES_PLAIN)


def _numbers(program: Program, ops: tuple[Op, ...]) -> int:
    numbers = sum(abs(value) for op in ops for value in op.args)
    numbers += sum(actor_key(actor)[1] for actor in program.actors)
    by_name = {actor.name: actor.ops for actor in program.actors}
    for p in program.schedule:
        numbers += p.occurrence + label_place(by_name[p.actor][p.op], p)
    return numbers


def _setup_key(op: Op) -> tuple[int, int, tuple[int, ...]]:
    first = _SETUP_FIRST.index(op.name) if op.name in _SETUP_FIRST else len(_SETUP_FIRST)
    return first, plainness(op.name), op.args


def _disorder(keys: Sequence[tuple[object, ...]]) -> int:
    """How many pairs stand the wrong way round."""
    pairs = ((a, b) for a in range(len(keys)) for b in range(a + 1, len(keys)))
    return sum(keys[a] > keys[b] for a, b in pairs)
