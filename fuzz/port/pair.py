"""Both sides of a program in C, under many schedules at once.

Python draws programs, since they are few; C draws schedules for each, since they are many.  What
C finds worth a look comes back as Programs, for Python to judge and to explain.
"""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import IntFlag
from functools import cache
from pathlib import Path
from typing import Final

from fuzz import edit as edits
from fuzz.port.encode import encode
from fuzz.port.library import Port
from fuzz.port.pruning import use
from fuzz.vocabulary import OPS, Op, Preemption, Program

SWITCHES_MAX: Final = 256  # the limits of fuzz/c/program.h and explore.h
EDITS_MAX: Final = 3
ARGS_MAX: Final = 10
FOUND_MAX: Final = 64
STRATEGIES: Final = ("round-robin", "walk", "pct")  # of fuzz/c/strategy.h
PAIRS_MAX: Final = 1 << 16  # of fuzz/c/feedback.h


class Why(IntFlag):
    """Why a schedule is worth a look."""

    FRESH = 1  # a pair of steps, or a result, that was never seen before
    BROKEN = 2  # a rule, on either side
    DIFFERS = 4  # what user space or the guest can see
    FAILED = 8  # the port itself
    PARTED = 16  # the two sides took different steps
    BAD = BROKEN | DIFFERS | FAILED


class Point(ctypes.Structure):
    """A preemption, as C has it: struct chosen_point of fuzz/c/explore.h."""

    _fields_ = [(name, ctypes.c_int32) for name in ("actor", "op")]
    _fields_ += [(name, ctypes.c_uint32) for name in ("label", "occurrence")]
    _fields_ += [("to", ctypes.c_int32)]


class _Op(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_uint32),
        ("nargs", ctypes.c_uint32),
        ("args", ctypes.c_uint64 * ARGS_MAX),
    ]


class _Edit(ctypes.Structure):
    _fields_ = [("actor", ctypes.c_int32), ("place", ctypes.c_int32), ("now", _Op)]


class _ArgInfo(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_uint32),
        ("family", ctypes.c_uint32),
        ("choices", ctypes.c_uint64),
    ]


class _Variant(ctypes.Structure):
    _fields_ = [
        ("why", ctypes.c_uint32),
        ("nr_points", ctypes.c_uint32),
        ("points", Point * SWITCHES_MAX),
        ("nr_edits", ctypes.c_uint32),
        ("edits", _Edit * EDITS_MAX),
        ("kinds", ctypes.c_uint64),
    ]


class _Explored(ctypes.Structure):
    _fields_ = [
        ("runs", ctypes.c_uint32),
        ("fresh", ctypes.c_uint32),
        ("parted", ctypes.c_uint32),
        ("telling", ctypes.c_uint32),
        ("steps", ctypes.c_uint64),
        ("nr_found", ctypes.c_uint32),
        ("found", _Variant * FOUND_MAX),
    ]


@dataclass(frozen=True, slots=True)
class Found:
    """A schedule worth a look, as a program."""

    program: Program
    why: Why


@dataclass(frozen=True, slots=True)
class Explored:
    """What exploring a program came to.

    runs: schedules, each run on both sides.  steps: of both sides.  fresh: new pairs of steps.
    """

    runs: int
    steps: int
    fresh: int
    parted: int
    telling: bool
    found: tuple[Found, ...]


class Pair:
    """A reference port and a patched one, joined."""

    def __init__(self, reference: Port, patched: Port) -> None:
        self.reference = other_port(reference, patched)
        self.patched = patched
        ours, theirs = self.reference.library, patched.library
        ours.gmemdiff_side.restype = ctypes.c_void_p
        theirs.gmemdiff_attach.restype = ctypes.c_char_p
        theirs.gmemdiff_attach.argtypes = [ctypes.c_void_p]
        theirs.gmemdiff_explore.restype = ctypes.POINTER(_Explored)
        theirs.gmemdiff_explore.argtypes = [ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint32]
        theirs.gmemdiff_explore_by.restype = ctypes.POINTER(_Explored)
        theirs.gmemdiff_explore_by.argtypes = [
            ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint32,
        ]  # fmt: skip
        theirs.gmemdiff_pairs.restype = ctypes.c_void_p
        theirs.gmemdiff_pairs.argtypes = [ctypes.c_void_p]
        theirs.gmemdiff_args.argtypes = [ctypes.c_void_p]
        theirs.gmemdiff_args.restype = None
        theirs.gmemdiff_args(ctypes.addressof(_arguments()))
        wrong: bytes | None = theirs.gmemdiff_attach(ours.gmemdiff_side())
        if wrong is not None:
            raise ValueError(wrong.decode())
        # Where the bytes for pairs of steps are: PAIRS_MAX of them.
        self.pairs: int = theirs.gmemdiff_pairs(ctypes.byref(ctypes.c_uint32()))
        self._labels = list(patched.labels)

    def explore(self, program: Program, seed: int, runs: int, most: int = 0) -> Explored:
        """Run a program under its own schedule and runs - 1 others.  Raises BeyondPortError.

        most: so many runs, if that is more, as long as nothing is found.
        """
        self._load(program)
        explore = self.patched.library.gmemdiff_explore
        return self._told(program, explore(seed, runs, max(runs, most)).contents)

    def explore_by(
        self,
        strategy: str,
        depth: int,
        program: Program,
        seed: int,
        runs: int,
        idle: int | None = None,
    ) -> Explored:
        """The same with schedules of one strategy of STRATEGIES.  Raises BeyondPortError.

        idle: only so many, when the patch acts in none of them.
        """
        self._load(program)
        explore = self.patched.library.gmemdiff_explore_by
        kind = STRATEGIES.index(strategy)
        return self._told(program, explore(kind, depth, seed, runs, idle or runs).contents)

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """What is explored meanwhile leaves no bytes for pairs of steps."""
        before = ctypes.string_at(self.pairs, PAIRS_MAX)
        try:
            yield
        finally:
            ctypes.memmove(self.pairs, before, PAIRS_MAX)

    def _load(self, program: Program) -> None:
        for port in (self.reference, self.patched):
            port.load_words(encode(program, port.label_id, port.survival))

    def _told(self, program: Program, result: _Explored) -> Explored:
        found = tuple(
            Found(self._scheduled(program, variant), Why(variant.why))
            for variant in result.found[: result.nr_found]
        )
        return Explored(
            result.runs, result.steps, result.fresh, result.parted, bool(result.telling), found
        )  # fmt: skip

    def _scheduled(self, program: Program, variant: _Variant) -> Program:
        actors, labels = program.actors, self._labels
        schedule = tuple(
            Preemption(actors[p.actor].name, p.op, labels[p.label], p.occurrence, actors[p.to].name)
            for p in variant.points[: variant.nr_points]
            if p.label < len(labels)  # a step that the port has nowhere
        )
        for edit in variant.edits[: variant.nr_edits]:
            op = _op(edit.now)
            program = edits.with_op(program, actors[edit.actor].name, edit.place, op)
        return replace(program, schedule=schedule)


_NAMES: Final = tuple(OPS)
_ARG_KINDS: Final = ("", "int", "addr", "hva", "fd", "flags", "enum")  # of fuzz/c/explore.h
_SIGNED: Final = ("fd",)  # written as negative numbers by some programs


def _op(op: _Op) -> Op:
    """An op as Python has it."""
    name = _NAMES[op.code]
    values = [
        value - (1 << 64) if arg.kind in _SIGNED and value >> 63 else value
        for arg, value in zip(OPS[name].args, op.args[: op.nargs], strict=True)
    ]
    return Op(name, tuple(values))


@cache
def _arguments() -> ctypes.Array[_ArgInfo]:
    """What C must know of arguments to draw other values."""
    table = (_ArgInfo * (len(OPS) * ARGS_MAX))()
    families: dict[tuple[str, str], int] = {}
    for code, spec in enumerate(OPS.values()):
        for place, arg in enumerate(spec.args):
            info = table[code * ARGS_MAX + place]
            info.kind = _ARG_KINDS.index(arg.kind)
            # Addresses of the host are one family; others go by name as well.
            family = (arg.kind, "" if arg.kind == "hva" else arg.name)
            info.family = families.setdefault(family, len(families) + 1)
            bits = 0
            for bit in arg.choices.values():
                bits |= bit
            info.choices = bits if arg.kind == "flags" else len(arg.names)
    return table


def other_port(port: Port, than: Port) -> Port:
    """The same port, or a copy: a file that is loaded twice would be one library."""
    if port.path != than.path:
        return port
    copy = port.path.with_name("other-" + port.path.name)
    if not use(copy):
        new = copy.with_suffix(".new")
        shutil.copyfile(port.path, new)
        new.replace(copy)
    return Port(Path(copy), port.survival)
