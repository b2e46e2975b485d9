#!/usr/bin/env python3
"""The fuzz target: what Atheris calls, for campaigns and on its own.

An input is the text of a Program; any other bytes are decoded into one (fuzz/codec.py), so every
input means something.  Mutation and crossover work on Programs and come from here, too.

On its own, ``gmemdiff-target [libFuzzer options] [CORPUS]`` (or ``python -m fuzz.target``) is an
ordinary libFuzzer target (for OSS-Fuzz, ClusterFuzzLite, or by hand), set up by environment
variables, since libFuzzer owns the command line:

    GMEMDIFF_REFERENCE, GMEMDIFF_PATCHED   models, by default stock and seed
    GMEMDIFF_PROFILES                      for example "v7.2 x86-tdp,v7.2 arm64"; by default all
    GMEMDIFF_OPS                           for example 4..24, ops per program; by default 2..10

It stops at the first finding that speaks against the patch and holds after the search, as an
uncaught exception with the report and the smallest program; libFuzzer then keeps the input, which
``gmemdiff minimize`` takes.  Exit code 2: the environment or an input file is wrong; 5: -merge=1 of
folders without a program.  A dictionary (-dict) would change nothing: libFuzzer hands all mutation
to ours, which knows the vocabulary.  Campaigns (tools/campaign/child/worker.py) give a listener
instead, and go on.
"""

from __future__ import annotations

import os
import random
import shlex
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from fuzz import edit
from fuzz.codec import decode
from fuzz.execution import HarnessError
from fuzz.finding import kinds_of
from fuzz.harness import Harness, Look
from fuzz.judge import PATCHED_ONLY, Verdict
from fuzz.mutation.mutator import Mutator
from fuzz.native import expose, register
from fuzz.overlay import Model, OverlayError, load_model
from fuzz.parser import DEFAULT
from fuzz.report import report
from fuzz.search import Boundary, boundaries
from fuzz.text import ProgramError, format_program, parse
from fuzz.triage import Triage
from fuzz.vocabulary import Program
from reference.features import PROFILES, Profile

INPUT_BYTES_MAX: Final = 16_384
PROGRAMS_KEPT: Final = 8_192  # corpus entries that are remembered, about 4 KiB each
STEPS_KEPT: Final = 1 << 17
LIBFUZZER_OPTIONS: Final = (
    f"-max_len={INPUT_BYTES_MAX}",
    "-len_control=0",
    # Mutants of mutants come from the mutator, which knows the steps of corpus entries only.
    "-mutate_depth=1",
)
BAD_INPUT, NOTHING = 2, 5  # exit codes, as of the command line
TEXT_STARTS: Final = (b"gmemdiff", b"#")

Listener = Callable[[Program, Look], None]


class PatchFindingError(Exception):
    """The patch breaks a rule that the reference keeps; the text is the report."""


class Target:
    """Two models, and the three functions that Atheris calls.

    listener: gets every execution that is worth a look.  mutator: draws programs for the profiles
    and sizes wanted.
    """

    def __init__(
        self,
        reference: Model,
        patched: Model,
        profiles: Sequence[Profile],
        ops: tuple[int, int],
        listener: Listener,
        harness: Harness | None = None,
    ) -> None:
        self.patched = patched
        self.listener = listener
        self.profiles = tuple(profiles) or PROFILES
        self.harness = harness or Harness(reference, patched)
        self.mutator = Mutator(self.profiles, *ops, self._boundaries)
        self.mutator.recent = self.harness.recent
        self.mutator.parted = self.harness.parted
        self.harness.draw = self.mutator.fresh
        self._programs: OrderedDict[bytes, Program | None] = OrderedDict()
        self._passed: OrderedDict[Program, tuple[Boundary, ...]] = OrderedDict()
        self._steps: dict[Boundary, Boundary] = {}  # programs pass the same ones: each kept once
        self._next: tuple[bytes, Program] | None = None  # drawn last; most are run and forgotten

    def test_one_input(self, data: bytes) -> None:
        """Run one input.  Raises HarnessError, and whatever the listener raises."""
        program = self.program_of(data)
        if program is None:
            return
        for each, look in self.harness.looks(program):
            self.listener(each, look)

    def custom_mutator(self, data: bytes, max_size: int, seed: int) -> bytes:
        """The text of a changed program."""
        rng = random.Random(seed)
        return self._text(self.mutator.mutate(self.program_of(data), rng), data, max_size)

    def custom_crossover(self, one: bytes, two: bytes, max_size: int, seed: int) -> bytes:
        """The text of a splice of two programs, or of a changed copy of the first."""
        rng = random.Random(seed)
        first, second = self.program_of(one), self.program_of(two)
        # libFuzzer crosses as often as it mutates, which is more often than it pays.
        if first is None or second is None or rng.random() < 0.7:
            child = self.mutator.mutate(first, rng)
        else:
            child = self.mutator.cross(first, second, rng)
        return self._text(child, one, max_size)

    def program_of(self, data: bytes) -> Program | None:
        """The program that an input stands for; None when it is text that is none."""
        if self._next is not None and data == self._next[0]:
            return self._next[1]
        known = self._programs
        if data in known:
            known.move_to_end(data)
            return known[data]
        program: Program | None
        try:
            program = self._read(data)
        except (ProgramError, UnicodeDecodeError):
            program = None
        known[data] = program
        if len(known) > PROGRAMS_KEPT:
            known.popitem(last=False)
        return program

    def _read(self, data: bytes) -> Program:
        """The same, unless it raises ProgramError or UnicodeDecodeError."""
        if data.startswith(TEXT_STARTS):
            return bare(parse(data.decode("utf-8")))
        return decode(data, self.profiles[0] if len(self.profiles) == 1 else None)

    def learn(self, found: Sequence[Program]) -> None:
        """Mutate these programs of findings as well, those for the profiles that are fuzzed."""
        self.mutator.found = [bare(each) for each in found if each.profile in self.profiles]

    def _text(self, program: Program, instead: bytes, max_size: int) -> bytes:
        data = format_program(program).encode()
        if len(data) > max_size:
            return instead[:max_size]
        self._next = data, program
        return data

    def _boundaries(self, program: Program) -> tuple[Boundary, ...]:
        passed = self._passed.get(program)
        if passed is not None:
            self._passed.move_to_end(program)
            return passed
        steps = self._steps
        if len(steps) > STEPS_KEPT:
            steps.clear()
        try:
            passed = tuple(steps.setdefault(b, b) for b in boundaries(program, self.harness.quick))
        except (HarnessError, OverlayError):  # told when the program itself is run
            passed = ()
        self._passed[program] = passed
        if len(self._passed) > PROGRAMS_KEPT:
            self._passed.popitem(last=False)
        return passed


def bare(program: Program) -> Program:
    """A program as an input: what a seed says of itself is not true of its mutants."""
    bare = edit.without_expectations(program)
    return replace(bare, reference=DEFAULT.reference, patched=DEFAULT.patched)


def fuzz(target: Target, arguments: Sequence[str]) -> None:
    """Hand the process over to Atheris; arguments are libFuzzer's, with the program's name first.

    Returns when libFuzzer does, which it mostly does not.
    """
    # Atheris finds the custom functions by symbols that must be global before its core is loaded;
    # a core imported first would silently never call them.  tests/quality/test_target.py counts.
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_GLOBAL | os.RTLD_NOW)
    try:
        import atheris
        from atheris import custom_crossover, custom_mutator  # noqa: F401
    finally:
        sys.setdlopenflags(flags)
    atheris.Setup(
        list(arguments),
        target.test_one_input,
        custom_mutator=target.custom_mutator,
        custom_crossover=target.custom_crossover,
    )
    _register(target.harness)
    atheris.Fuzz()


def _register(harness: Harness) -> None:
    """Let libFuzzer read the counters as if a compiler had put them there."""
    expose(harness.counters)
    for region in harness.native():
        register(region)


class StopAtFinding:
    """The listener of a target on its own: settles what speaks against the patch, and raises.

    As triage does it (fuzz/triage.py): a small search first, the dear one on the shrunk program,
    and kinds that were nothing but drift are looked at less and less.
    """

    def __init__(self, reference: Model, patched: Model, profiles: Sequence[Profile] = ()) -> None:
        self.triage = Triage(reference, patched, profiles=tuple(profiles))

    def __call__(self, program: Program, look: Look) -> None:
        """One execution.  Raises PatchFindingError."""
        if look.judgement is None or look.judgement.verdict < Verdict.DIVERGE:
            return
        seen = [kind for kind in kinds_of(look.judgement) if kind.side == PATCHED_ONLY]
        due = [kind for kind in seen if self.triage.memory.worth(kind)]
        if not due:
            return
        first = self.triage.first_look(program)
        for kind in due:
            finding = self.triage.follow(program, kind, first).finding
            if finding is not None and finding.kind.side == PATCHED_ONLY:
                text = report(finding, "the program below, in a file")
                raise PatchFindingError(f"\n{text}")


def _from_environment() -> Target:
    """The target that the environment asks for.  Raises OverlayError, ValueError."""
    reference = load_model(os.environ.get("GMEMDIFF_REFERENCE", "stock"))
    patched = load_model(os.environ.get("GMEMDIFF_PATCHED", "seed"))
    wanted = [text.strip() for text in os.environ.get("GMEMDIFF_PROFILES", "").split(",")]
    known = {str(profile): profile for profile in PROFILES}
    for text in wanted:
        if text and text not in known:
            raise ValueError(f"GMEMDIFF_PROFILES: {text!r} is none of {', '.join(known)}")
    profiles = [known[text] for text in wanted if text]
    low, _, high = os.environ.get("GMEMDIFF_OPS", "2..10").partition("..")
    if not (low.isdecimal() and high.isdecimal() and 1 <= int(low) <= int(high)):
        raise ValueError("GMEMDIFF_OPS: write for example 2..12")
    stop = StopAtFinding(reference, patched, profiles)
    return Target(reference, patched, profiles, (int(low), int(high)), stop)


def _own_name() -> str:
    """What libFuzzer is told our name is: the command by which it can start us again.

    It does so for -merge=1 and -fork, through a shell, and takes a start that failed for a crash
    of the input.  A Python file needs the Python that runs it now.
    """
    name = shlex.quote(sys.argv[0])
    return f"{shlex.quote(sys.executable)} -m fuzz.target" if name.endswith(".py") else name


def _objection(target: Target, arguments: Sequence[str]) -> tuple[int, str]:
    """Exit code and reason when nothing would be executed, which libFuzzer calls success."""
    paths = [Path(each) for each in arguments if not each.startswith("-")]
    for path in paths:
        if path.is_file():
            try:
                target._read(path.read_bytes())
            except ProgramError as error:
                return BAD_INPUT, str(error).replace("<text>", str(path), 1)
            except (OSError, UnicodeDecodeError) as error:
                return BAD_INPUT, f"{path}:1:1: cannot be read: {error}"
    if "-merge=1" in arguments:
        files = [file for folder in paths[1:] for file in sorted(folder.rglob("*"))]
        if all(target.program_of(file.read_bytes()) is None for file in files if file.is_file()):
            folders = ", ".join(str(path) for path in paths[1:]) or "the command line"
            return NOTHING, f"{folders}: no program to merge; give folders that hold some"
    return 0, ""


def main() -> int:
    """Run as a libFuzzer target."""
    arguments = sys.argv[1:]
    try:
        target = _from_environment()
    except ValueError as error:  # an OverlayError is one, too
        print(error, file=sys.stderr)
        return BAD_INPUT
    code, why = _objection(target, arguments)
    if why:
        print(why, file=sys.stderr)
        return code
    fuzz(target, [_own_name(), *LIBFUZZER_OPTIONS, *arguments])
    return 0


if __name__ == "__main__":
    sys.exit(main())
