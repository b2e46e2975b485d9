"""The readable text form of a Program, as kept in ``*.prog`` files.

The one idea: a failing test case is something people read, edit and mail, so its text form is
small, has one canonical spelling, and every mistake in it is told by line and column, with what
to do.  The grammar by example; indentation is free, the order of the parts is not::

    # why this program exists         comment lines at the top are Program.title
    gmemdiff 1                        format version, required
    profile: v7.2 x86-tdp             required; header lines may stand in any order
    vm: default                       optional; sw-protected needs x86-tdp
    geometry: vcpus=1 frames=64       optional; always written
    reference: stock                  optional; one word
    patched: seed                     optional; one word
    expect: patched-only stale-spte   optional, repeatable; a verdict line
    setup:                            ops of vmm and kthread kind; run first and alone
      create_gmem fd=gmem0 size=16p
      mmap hva=A len=16p fd=gmem0 share=shared
      set_region slot=0 size=16p hva=A flags=GUEST_MEMFD fd=gmem0
    vmm0:                             one section per actor: vmmN, vcpuN, kthreadN
      mprotect hva=A+3p len=1p prot=READ => 0
    vcpu0:
      read gfn=3 => 7 | 9             '=> text' is Op.expect
    schedule:                         optional, last
      vmm0[0] at kvm_handle_hva_range.mmu_lock#1 -> vcpu0

A ``#`` at the start of a word begins a comment, which ends with its line.  Arguments are
name=value in any order; those left out have their default.  fuzz/vocabulary.py says how each
kind of value is written.

Invariants: ``parse(format_program(p)) == p`` for every Program that can be written at all, and
``format_program(parse(t))`` is canonical: it does not change when done again.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from fuzz.lines import LINES_KEPT, Line, LineError, line_of
from fuzz.parser import DEFAULT, SCHEDULE, Parser, ProgramError
from fuzz.values import CONTROL, ValueTextError, format_value, free_text
from fuzz.vocabulary import FORMAT_VERSION, OPS, SETUP, Op, Program

__all__ = ["ProgramError", "format_op", "format_program", "load", "parse", "validate"]


def parse(text: str, filename: str = "<text>") -> Program:
    """Read a Program; the only exception is ProgramError, whatever the text."""
    title: list[str] = []
    lines: list[tuple[int, Line]] = []
    for number, raw in enumerate(text.split("\n"), start=1):
        try:
            line = line_of(raw.removesuffix("\r"))
        except LineError as error:
            raise ProgramError(filename, number, error.column, error.message) from error
        if line.words:
            lines.append((number, line))
        elif not lines and raw.strip():
            title.append(raw.strip()[1:].removeprefix(" "))
    return Parser(filename, lines).program(tuple(title))


def load(path: str | Path) -> Program:
    """Read a Program from a file; a file that cannot be read or decoded is a ProgramError too."""
    filename = str(path)
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ProgramError(filename, 1, 1, f"cannot read: {why}; check the path") from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").split("\n")
        message = f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8 text"
        raise ProgramError(filename, len(before), len(before[-1]) + 1, message) from error
    return parse(text, filename)


def validate(program: Program) -> None:
    """Raise ProgramError unless the program is one that parse could have given."""
    if parse(format_program(program), "<program>") != program:
        raise ProgramError(
            "<program>", 1, 1, "is not what its text reads back as; use tuples and ints"
        )


def format_op(op: Op) -> str:
    """One op as a line of a program, with what it must give."""
    text = _format_request(op.name, *op.args)
    return f"{text} => {free_text(op.expect, 'expect')}" if op.expect else text


@lru_cache(LINES_KEPT, typed=True)  # True is no number of a program, though it equals 1
def _format_request(name: str, *args: int) -> str:
    spec = OPS.get(name)
    if spec is None or len(spec.args) != len(args):
        raise ValueTextError(f"{name} with {len(args)} arguments; see fuzz/vocabulary.py")
    parts = [name]
    for arg, value in zip(spec.args, args, strict=True):
        if value != arg.default:
            parts.append(f"{arg.name}={format_value(arg, value)}")
    return " ".join(parts)


def format_program(program: Program) -> str:
    """Write a Program in canonical form; ProgramError when a field has no text form at all.

    Only what cannot be spelt is refused here; validate() checks the rest.
    """
    lines: list[str] = []
    try:
        for line in _format_lines(program):
            lines.append(line)
    except ValueTextError as error:
        raise ProgramError("<program>", len(lines) + 1, 1, str(error)) from error
    return "\n".join(lines) + "\n"


def _format_lines(program: Program) -> Iterator[str]:
    for line in program.title:
        if CONTROL.search(line) or line != line.rstrip():
            raise ValueTextError(f"title line {line!r} is not plain text; strip it")
        yield f"# {line}".rstrip()
    yield f"gmemdiff {FORMAT_VERSION}"
    yield f"profile: {program.profile}"
    if program.vm != DEFAULT.vm:
        yield f"vm: {program.vm}"
    yield f"geometry: vcpus={program.vcpus} frames={program.frames}"
    for name, model in (("reference", program.reference), ("patched", program.patched)):
        if model != getattr(DEFAULT, name):
            yield f"{name}: {free_text(model, name)}"
    yield from (f"expect: {free_text(line, 'expect')}" for line in program.expect)
    sections = [(SETUP, program.setup)] if program.setup else []
    for name, ops in sections + [(actor.name, actor.ops) for actor in program.actors]:
        yield f"{name}:"
        for op in ops:
            yield f"  {format_op(op)}"
    if program.schedule:
        yield f"{SCHEDULE}:"
    for at in program.schedule:
        yield f"  {at.actor}[{at.op}] at {at.label}#{at.occurrence} -> {at.to}"
