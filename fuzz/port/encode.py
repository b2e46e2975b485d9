"""A Program as the words that the C port reads (fuzz/c/program.c), one 64-bit number each.

version, features (one bit each), machine bits, vcpus, frames,
setup:   ops (count, then code, nargs, args... of each)
actors:  count, then kind, number, ops of each
points:  count, then actor, op, label id, occurrence, to of each
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import replace
from functools import cache, lru_cache
from typing import Final

from fuzz.vocabulary import OPS, Op, Program
from reference.features import FEATURES, Profile

VERSION: Final = 1
NO_LABEL: Final = (1 << 32) - 1  # a label that the port has nowhere: never come to
KINDS: Final = ("vmm", "vcpu", "kthread")
_U64: Final = (1 << 64) - 1
_CONTENT_MAX: Final = (1 << 63) - 1  # of a page; above it the port would see an errno
# What the port's own fields hold; it looks only at the lower bits of anything larger.
_VCPU_COUNT: Final = 1 << 31
_FRAMES: Final = 1 << 63
_OCCURRENCE: Final = 1 << 32
_ACTOR_NUMBER: Final = 10**8  # a name is at most 15 characters long
_CODES: Final = {name: code for code, name in enumerate(OPS)}


class BeyondPortError(Exception):
    """A program with numbers that the C port has no room for; Python runs it."""


def encode(program: Program, label_id: Callable[[str], int], survival: bool) -> array[int]:
    """The words of a program.

    label_id: the port's number of a label.  survival: the model promises gmem-survival.
    Raises BeyondPortError.
    """
    words = array("Q")
    words.extend(_body(replace(program, schedule=()), survival))
    try:
        words.append(len(program.schedule))
        numbers = {actor.name: number for number, actor in enumerate(program.actors)}
        for p in program.schedule:
            label = label_id(p.label)
            occurrence = _below(_OCCURRENCE, p.label, p.occurrence)
            words.extend((numbers[p.actor], p.op, label, occurrence, numbers[p.to]))
    except OverflowError as error:
        raise BeyondPortError(f"a number is beyond 64 bits: {error}") from error
    return words


@lru_cache(maxsize=64)
def _body(program: Program, survival: bool) -> array[int]:
    """The words before the schedule, which a search changes while all else stays."""
    words = array("Q")
    features, machine = _machine(program.profile)
    machine |= (program.vm == "sw-protected") << 2 | survival << 3
    try:
        vcpus = _below(_VCPU_COUNT, "vcpus", program.vcpus)
        frames = _below(_FRAMES, "frames", program.frames)
        words.extend((VERSION, features, machine, vcpus, frames))
        _put_ops(words, program.setup)
        words.append(len(program.actors))
        for actor in program.actors:
            index = _below(_ACTOR_NUMBER, actor.name, int(actor.name[len(actor.kind) :]))
            words.extend((KINDS.index(actor.kind), index))
            _put_ops(words, actor.ops)
    except OverflowError as error:
        raise BeyondPortError(f"a number is beyond 64 bits: {error}") from error
    return words


def _below(limit: int, what: str, value: int) -> int:
    if not 0 <= value < limit:
        raise BeyondPortError(f"{what}: {value} is not below {limit}")
    return value


@cache
def _machine(profile: Profile) -> tuple[int, int]:
    """Bits of the features that a profile has, and of what the machine is."""
    features = sum(1 << bit for bit, name in enumerate(FEATURES) if profile.has(name))
    return features, (profile.mmu != "arm64") | (profile.mmu == "x86-shadow") << 1


def _put_ops(words: array[int], ops: tuple[Op, ...]) -> None:
    words.append(len(ops))
    for op in ops:
        words.extend((_CODES[op.name], len(op.args)))
        for arg, value in zip(OPS[op.name].args, op.args, strict=True):
            if arg.name == "value" and value > _CONTENT_MAX:
                raise BeyondPortError(f"{op.name}: a page's contents of {value}")
            if not -(1 << 63) <= value <= _U64:
                raise BeyondPortError(f"{op.name}: {value} is beyond 64 bits")
            words.append(value & _U64)
