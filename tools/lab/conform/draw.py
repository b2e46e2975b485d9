"""Random sequential programs: what the fuzzer draws, less what no real kernel can be asked for.

Layouts, arguments and weights are those of the fuzzer (fuzz/codec.py, fuzz/draws.py), so that
gmem-only and ordinary slots, guest accesses and calls that reach the notifiers meet.  Only who
does what when is drawn here, because ops run one after the other.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from fuzz.codec import LAYOUTS, draw_setup
from fuzz.draws import draw_op, op_table
from fuzz.tracker import ByteReader, World
from fuzz.vocabulary import Actor, Op, Program
from reference.features import Profile
from tools.lab.case import Case
from tools.lab.conform.observe import serial_case

OPS_MIN: Final = 8
OPS_MAX: Final = 16
FRAMES: Final = 4096  # enough that memory never runs out, which no kernel of the lab does either
TRIES: Final = 64
_BYTES_PER_OP: Final = 16
# Out of so many ops: one of a vCPU, one of a kernel thread; the others are the VMM's.
_SHARE: Final = {"vcpu": 14, "vmm": 13, "kthread": 5}
_BURSTS: Final = (0, 0, 2, 4)  # guest accesses before anything else
_SECOND_VCPU: Final = 5  # one program in so many has two


@dataclass(frozen=True, slots=True)
class Able:
    """What a kernel can be asked for: names of ops, VM types, and a word on a single op's values.

    refuses: why this op cannot be asked for on that profile; "" when it can.  fit: gives it the
    values that alone can be asked for.
    """

    ops: frozenset[str]
    vms: frozenset[str]
    refuses: Callable[[Op, Profile], str]
    fit: Callable[[Op, Profile], Op] = field(default=lambda op, profile: op)


def random_cases(seed: int, count: int, profile: Profile, able: Able) -> Iterator[Case]:
    """`count` cases on that profile; the same seed and profile give the same ones."""
    for number in range(count):
        rng = random.Random(f"conform {seed} {profile.mmu} {number}")
        yield random_case(rng, f"random-{seed}-{number}", profile, able)


def random_case(rng: random.Random, name: str, profile: Profile, able: Able) -> Case:
    """One random program of OPS_MIN to OPS_MAX ops after its setup, in the order it was drawn."""
    vcpus = 2 if rng.randrange(_SECOND_VCPU) == 0 else 1
    count = rng.randint(OPS_MIN, OPS_MAX)
    while True:
        place = rng.randrange(256)
        vm = "sw-protected" if "sw-protected" in able.vms and rng.randrange(8) == 0 else "default"
        world = World(profile, vm, ByteReader(rng.randbytes(_BYTES_PER_OP * (count + 8))))
        setup = draw_setup(world, place % len(LAYOUTS))
        if all(op.name in able.ops and not able.refuses(op, profile) for op in setup):
            break
    turns = _turns(rng, world, count, vcpus, able, vm)
    names = list(dict.fromkeys(name for name, _ in turns))
    actors = [Actor(name, tuple(op for who, op in turns if who == name)) for name in names]
    program = Program(
        profile=profile, setup=setup, actors=tuple(actors), vm=vm, vcpus=vcpus, frames=FRAMES
    )
    return serial_case(name, program, [actor for actor, _ in turns])


def _turns(
    rng: random.Random, world: World, count: int, vcpus: int, able: Able, vm: str
) -> list[tuple[str, Op]]:
    tables = {
        kind: tuple(op for op in op_table(kind, world.profile, vm) if op in able.ops)
        for kind in _SHARE
    }
    accesses = tuple(op for op in tables["vcpu"] if op in ("read", "write"))
    kinds = [kind for kind, share in _SHARE.items() if tables[kind] for _ in range(share)]
    burst = rng.choice(_BURSTS) if accesses else 0
    turns: list[tuple[str, Op]] = []
    while len(turns) < count:
        first = len(turns) < burst
        kind = "vcpu" if first else rng.choice(kinds)
        number = rng.randrange(vcpus) if kind == "vcpu" else 0
        op = _draw(world, accesses if first else tables[kind], able)
        turns.append((f"{kind}{number}", op))
    return turns


def _draw(world: World, table: tuple[str, ...], able: Able) -> Op:
    """Draw until the op is one that can be asked for; what was refused leaves no trace."""
    for _ in range(TRIES):
        before = {
            name: value.copy() if isinstance(value, list | dict) else value
            for name, value in vars(world).items()
        }
        op = able.fit(draw_op(world, table), world.profile)
        if op.name in able.ops and not able.refuses(op, world.profile):
            return op
        vars(world).update(before)
    return Op("nop")
