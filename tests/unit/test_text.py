"""The text form: what is written is read back, and every mistake is told at its place."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fuzz.text import ProgramError, format_program, load, parse, validate
from fuzz.values import format_value, parse_value
from fuzz.vocabulary import FD_NAMES, OPS, Actor, Arg, Op, Preemption, Program
from reference.features import Profile
from tests.strategies import mutated_texts, programs

TDP = Profile("v7.2", "x86-tdp")
HEAD = "gmemdiff 1\nprofile: v7.2 x86-tdp\n"
FULL = """\
# a slot of guest_memfd, and the same file mapped
#   second line

gmemdiff 1   # format
patched: mutant:x
profile: v7.2   x86-tdp
geometry: frames=0x20
expect: patched-only   stale-spte   # as seen in the lab
expect:agree
setup:
  create_gmem size=16p fd=gmem0
    mmap len=16p fd=gmem0 hva=A share=shared
  set_region slot=0 gpa=0p size=16p hva=A flags=GUEST_MEMFD fd=gmem0
vmm0:   # the VMM
mprotect hva=A+3p len=1p prot=READ   =>  0
vcpu0:
  read gfn=0x03 => 7   |  9           # trailing
schedule:
  vmm0[0] at kvm_handle_hva_range.mmu_lock -> vcpu0
"""
CANONICAL = """\
# a slot of guest_memfd, and the same file mapped
#   second line
gmemdiff 1
profile: v7.2 x86-tdp
geometry: vcpus=1 frames=32
patched: mutant:x
expect: patched-only stale-spte
expect: agree
setup:
  create_gmem fd=gmem0 size=16p
  mmap hva=A len=16p fd=gmem0 share=shared
  set_region slot=0 size=16p hva=A flags=GUEST_MEMFD fd=gmem0
vmm0:
  mprotect hva=A+3p len=1p prot=READ => 0
vcpu0:
  read gfn=3 => 7 | 9
schedule:
  vmm0[0] at kvm_handle_hva_range.mmu_lock#1 -> vcpu0
"""


def test_the_example_reads_as_what_it_says() -> None:
    program = parse(FULL)
    assert program.profile == TDP
    assert program.title == ("a slot of guest_memfd, and the same file mapped", "  second line")
    assert program.expect == ("patched-only stale-spte", "agree")
    assert (program.vcpus, program.frames, program.vm) == (1, 32, "default")
    assert (program.reference, program.patched) == ("stock", "mutant:x")
    assert program.setup[0] == Op("create_gmem", (0, 16 * 4096, 3))
    assert program.actors == (
        Actor("vmm0", (Op("mprotect", ((1 << 30) + 3 * 4096, 4096, 1), "0"),)),
        Actor("vcpu0", (Op("read", (3, 0, 0), "7 | 9"),)),
    )
    label = "kvm_handle_hva_range.mmu_lock"
    assert program.schedule == (Preemption("vmm0", 0, label, 1, "vcpu0"),)


def test_the_example_has_its_canonical_form() -> None:
    assert format_program(parse(FULL)) == CANONICAL
    assert format_program(parse(CANONICAL)) == CANONICAL


def test_windows_line_ends_are_read() -> None:
    assert parse(FULL.replace("\n", "\r\n")) == parse(FULL)


def test_empty_sections_are_read() -> None:
    program = parse(HEAD + "setup:\nvmm0:\nschedule:\n")
    assert program == Program(TDP, actors=(Actor("vmm0", ()),))
    assert parse(format_program(program)) == program


def test_a_comment_after_the_first_line_is_not_the_title() -> None:
    assert parse("#one\n#\n" + HEAD + "# two\n").title == ("one", "")


@given(programs())
def test_a_program_is_read_back_as_it_was_written(program: Program) -> None:
    text = format_program(program)
    assert parse(text) == program
    assert format_program(parse(text)) == text
    validate(program)


@given(st.text())
@example("\u2028")
@example("gmemdiff " + "9" * 5000)
@example(HEAD + "vcpu0:\nread gfn=" + "0" * 5000)
@example(HEAD + "vcpu0:\nread gfn=" + "9" * 5000)
@example(HEAD + "vcpu" + "1" * 5000 + ":")
@example(HEAD + "vmm0:\nmsync hva=A+" + "9" * 5000 + "p len=²")
@example(HEAD + "schedule:\nvmm0[" + "9" * 5000 + "] at a#1 -> vcpu0")
def test_any_text_gives_a_program_or_a_program_error(text: str) -> None:
    try:
        program = parse(text)
    except ProgramError as error:
        assert error.line >= 1
        assert error.column >= 1
    else:
        assert parse(format_program(program)) == program


@given(mutated_texts())
def test_any_near_miss_gives_a_program_or_a_program_error(text: str) -> None:
    try:
        program = parse(text, "near.prog")
    except ProgramError as error:
        lines = text.split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1
        assert str(error) == f"near.prog:{error.line}:{error.column}: {error.message}"
        assert "; " in error.message or error.message.endswith("?")
    else:
        assert parse(format_program(program)) == program


# What follows HEAD, which is two lines; then line, column and text of the complaint.
SLOTS = "setup:\nvmm0:\n  user_read hva=A\nvcpu0:\n  read gfn=1\nschedule:\n  "
MISTAKES = [
    ("profle: x", 3, 1, "unknown line 'profle'; did you mean 'profile'?"),
    ("profile: v7.2 x86-tdp", 3, 1, "second profile line; keep one"),
    ("vm:", 3, 1, "vm has no value; write it after the colon"),
    ("vm: #x", 3, 1, "vm has no value; write it after the colon"),
    ("vm:#x", 3, 1, "vm has no value; write it after the colon"),
    ("vm: sw-proteced", 3, 5, "unknown VM type 'sw-proteced'; did you mean 'sw-protected'?"),
    ("vm: default x", 3, 13, "'x' is too much; the line is 'vm: TYPE'"),
    ("geometry: cpus=2", 3, 11, "unknown geometry 'cpus'; did you mean 'vcpus'?"),
    ("geometry: vcpus=1 vcpus=1", 3, 19, "second vcpus; keep one"),
    ("geometry: vcpus=9", 3, 17, "vcpus is 9; choose 1 to 8"),
    ("geometry: frames=4", 3, 18, "frames is 4; choose 8 to 4096"),
    ("geometry: frames", 3, 11, "frames has no value; write frames=64"),
    ("geometry: frames=", 3, 18, "'' is not a number; write 12 or 0xc"),
    ("geometry:vcpus=x", 3, 16, "'x' is not a number; write 12 or 0xc"),
    ("reference: a b", 3, 14, "'b' is too much; the line is 'reference: MODEL'"),
    ("nop", 3, 1, "'nop' is in no section; write 'setup:' above it"),
    ("vmm0:\n\tno\x07p", 4, 4, "control character U+0007; remove it"),
    ("vmm0:\nvm: default", 4, 1, "'vm:' inside a section; move it above the first section"),
    ("vmm0: nop", 3, 7, "text after 'vmm0:'; put it on a line of its own"),
    ("vmm0:\nvmm0:", 4, 1, "second section 'vmm0:'; join it with the first"),
    ("schedule:\nschedule:", 4, 1, "second section 'schedule:'; join it with the first"),
    ("vmm0:\nsetup:", 4, 1, "'setup:' after an actor; move it before the first actor"),
    ("schedule:\nvmm0:", 4, 1, "'vmm0:' after the schedule; move the schedule to the end"),
    ("setup:\nvmn0:", 4, 1, "unknown section 'vmn0'; did you mean 'vmm0'?"),
    ("vmm00:", 3, 1, "unknown line 'vmm00'; choose from profile, vm, geometry, reference,"),
    ("vcpu1:", 3, 1, "no vcpu1 with vcpus=1; write 'geometry: vcpus=2 frames=64'"),
    ("vcpu8:", 3, 1, "no vcpu8, vcpus is at most 8; use vcpu0 to vcpu7"),
    ("vmm0:\n  unmap hva=A", 4, 3, "unknown op 'unmap'; did you mean 'munmap'?"),
    ("vmm0:\n  read gfn=0", 4, 3, "vmm0 cannot do read; put it in an actor of kind vcpu"),
    ("setup:\n  read gfn=0", 4, 3, "setup cannot do read; put it in an actor of kind vcpu"),
    ("vcpu0:\n  read", 4, 3, "read lacks gfn; add gfn=0"),
    ("vmm0:\n  msync hva=A", 4, 3, "msync lacks len; add len=1p"),
    ("vcpu0:\n  read gfm=0", 4, 8, "unknown argument of read 'gfm'; did you mean 'gfn'?"),
    ("vmm0:\n  nop zz=1", 4, 7, "unknown argument of nop 'zz'; there is none"),
    ("vcpu0:\n  read gfn=0 gfn=0", 4, 14, "second gfn; keep one"),
    ("vcpu0:\n  read gfn", 4, 8, "'gfn' is no argument; write name=value, or ' => result'"),
    ("vcpu0:\n  read gfn=0 =>0", 4, 14, "'=>0' is no argument; write name=value, or ' => re"),
    ("vcpu0:\n  read gfn=0 => # 7", 4, 14, "nothing after '=>'; write the result, or remove it"),
    ("vcpu0:\n  read gfn=-1", 4, 12, "'-1' is not a number; write 12 or 0xc"),
    ("vcpu0:\n  read gfn=0x1" + "0" * 16, 4, 12, "number out of range; choose 0 to 0xfff"),
    ("vmm0:\n  msync hva=Z len=1p", 4, 13, "'Z' is no hva; write for example A, A+3p, A+3p+1 or"),
    ("vmm0:\n  msync hva=A len=p", 4, 19, "'p' is no len; write for example 3p, 3p+1 or 0x3001"),
    ("vmm0:\n  msync hva=A len=0x10000000000000p", 4, 19, "number out of range; choose"),
    ("vmm0:\n  close fd=gmem8", 4, 12, "unknown fd 'gmem8'; did you mean 'gmem7'?"),
    ("vmm0:\n  close fd=3", 4, 12, "unknown fd '3'; choose from gmem0, gmem1, gmem2, gmem3"),
    ("vmm0:\n  mprotect hva=A len=1p prot=REED", 4, 30, "unknown bit of prot 'REED'; did you"),
    ("vmm0:\n  mprotect hva=A len=1p prot=READ|1x", 4, 30, "'1x' is not a number; write 12"),
    ("vmm0:\n  madvise hva=A len=1p advice=DONT", 4, 31, "unknown advice 'DONT'; did you"),
    (SLOTS + "vmm0 at a#1 -> vcpu0", 9, 3, "'vmm0' is no place to preempt; write 'ACTOR[OP]"),
    (SLOTS + "vmm0[0]", 9, 3, "the line ends early; write 'ACTOR[OP] at LABEL#N -> ACTOR'"),
    (SLOTS + "vmm0[0] at a #1 -> vcpu0", 9, 14, "the line ends early; write 'ACTOR[OP] at"),
    (SLOTS + "vmm0[0] in a#1 -> vcpu0", 9, 11, "'in' is not 'at'; write 'ACTOR[OP] at LABEL"),
    (SLOTS + "vmm0[0] at a#1 => vcpu0", 9, 18, "'=>' is not '->'; write 'ACTOR[OP] at LABEL"),
    (SLOTS + "vmm0[0] at a#1 -> vcpu0 x", 9, 27, "'x' is too much; the line is 'ACTOR[OP] at"),
    (SLOTS + "vmm0[1] at a#1 -> vcpu0", 9, 8, "vmm0 has 1 ops, none numbered 1; count from 0"),
    (SLOTS + "vmm1[0] at a#1 -> vcpu0", 9, 3, "unknown actor 'vmm1'; did you mean 'vmm0'?"),
    (SLOTS + "setup0[0] at a#1 -> vcpu0", 9, 3, "unknown actor 'setup0'; choose from vmm0, vcpu"),
    (SLOTS + "vmm0[0] at a#1 -> setup", 9, 21, "unknown actor 'setup'; choose from vmm0, vcpu0"),
    (SLOTS + "vmm0[0] at a#1 -> vmm0", 9, 21, "vmm0 cannot preempt itself; name another actor"),
    (SLOTS + "vmm0[0] at a#0 -> vcpu0", 9, 14, "'a#0' is no label; write LABEL#N, N from 1"),
    (SLOTS + "vmm0[0] at a+b#1 -> vcpu0", 9, 14, "'a+b#1' is no label; write LABEL#N, N from 1"),
]


@pytest.mark.parametrize(("rest", "line", "column", "message"), MISTAKES)
def test_a_mistake_is_told_where_it_is(rest: str, line: int, column: int, message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        parse(HEAD + rest, "x.prog")
    assert str(caught.value).startswith(f"x.prog:{line}:{column}: {message}")


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, "no program here; start it with 'gmemdiff 1'"),
        ("# only a title\n\n", 1, 1, "no program here; start it with 'gmemdiff 1'"),
        ("# t\nprofile: v7.2 x86-tdp", 2, 1, "not a gmemdiff program; the first line must be"),
        ("gmemdiff", 1, 1, "no format version; write 'gmemdiff 1'"),
        ("gmemdiff one", 1, 10, "'one' is not a format version; write 'gmemdiff 1'"),
        ("gmemdiff 2", 1, 10, "format 2 is newer than 1; update gmemdiff"),
        ("gmemdiff 1 1", 1, 12, "'1' is too much; the line is 'gmemdiff 1'"),
        ("gmemdiff 1", 1, 1, "no profile; add a line such as 'profile: v7.2 x86-tdp' below"),
        ("gmemdiff 1\nprofile: v7.9 arm64", 2, 10, "unknown kernel 'v7.9'; did you mean 'v7."),
        ("gmemdiff 1\nprofile: v7.2", 2, 1, "no MMU flavour; the line is 'profile: KERNEL MMU"),
        ("gmemdiff 1\nprofile: v7.2 x86", 2, 15, "unknown MMU flavour 'x86'; "),
        ("gmemdiff 1\nprofile: v7.2 arm64 x", 2, 21, "'x' is too much; the line is"),
        (
            "gmemdiff 1\nprofile: v7.2 arm64\nvm: sw-protected",
            *(3, 5),
            "arm64 has no such VM type; write 'vm: default'",
        ),
    ],
)
def test_a_mistake_in_the_head_is_told(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        parse(text)
    assert str(caught.value).startswith(f"<text>:{line}:{column}: {message}")


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("int", 9, "9"),
        ("int", 10, "0xa"),
        ("addr", 0, "0p"),
        ("addr", 3 * 4096 + 1, "3p+1"),
        ("addr", (1 << 64) - 1, "4503599627370495p+4095"),
        ("hva", 0, "0x0"),
        ("hva", 1 << 30, "A"),
        ("hva", (1 << 30) + 1, "A+0p+1"),
        ("hva", (9 << 30) - 1, "H+262143p+4095"),
        ("hva", 9 << 30, "0x240000000"),
        ("fd", 7, "gmem7"),
        *(("fd", value, name) for value, name in FD_NAMES.items()),
        ("flags", 0, "0"),
        ("flags", 3, "R|W"),
        ("flags", 0x82, "W|0x80"),
        ("enum", 1, "two"),
    ],
)
def test_a_value_has_one_spelling(kind: str, value: int, text: str) -> None:
    arg = Arg("x", kind, choices={"R": 1, "W": 2}, names=("one", "two"))
    assert format_value(arg, value) == text
    assert parse_value(arg, text) == value


def test_other_spellings_of_values_are_read() -> None:
    assert parse_value(Arg("x", "hva"), "A+5") == (1 << 30) + 5
    assert parse_value(Arg("x", "hva"), "0x40000000") == 1 << 30
    assert parse_value(Arg("x", "hva"), "B+0x10p") == (2 << 30) + 0x10000
    assert parse_value(Arg("x", "addr"), "4096") == 4096
    assert parse_value(Arg("x", "addr"), "0x1p+0x1") == 4097


@pytest.mark.parametrize(
    "program",
    [
        Program(TDP, setup=(Op("no_such_op"),)),
        Program(TDP, setup=(Op("msync", (0,)),)),
        Program(TDP, setup=(Op("msync", (0, -1)),)),
        Program(TDP, setup=(Op("msync", (0, 1 << 64)),)),
        Program(TDP, setup=(Op("close", (8,)),)),
        Program(TDP, setup=(Op("stat", (99,)),)),
        Program(TDP, setup=(Op("nop", (), "a  b"),)),
        Program(TDP, setup=(Op("nop", (), "a #b"),)),
        Program(TDP, expect=("",)),
        Program(TDP, reference=""),
        Program(TDP, title=("a\nb",)),
        Program(TDP, title=("a ",)),
    ],
)
def test_what_has_no_text_form_is_refused_by_format(program: Program) -> None:
    with pytest.raises(ProgramError, match="<program>:"):
        format_program(program)


@pytest.mark.parametrize(
    "change",
    [
        {"vcpus": 9},
        {"vm": "tdx"},
        {"reference": "two words"},
        {"actors": (Actor("vcpu1", ()),)},
        {"actors": (Actor("vmm0", ()), Actor("vmm0", ()))},
        {"actors": (Actor("setup", ()),)},
        {"schedule": (Preemption("vmm0", 0, "a", 1, "vcpu0"),)},
        {"setup": [Op("nop")]},
    ],
)
def test_validate_refuses_what_parse_could_not_give(change: dict[str, object]) -> None:
    with pytest.raises(ProgramError):
        validate(replace(Program(TDP), **change))  # type: ignore[arg-type]


def test_every_op_can_be_written_with_its_defaults() -> None:
    for spec in OPS.values():
        args = tuple(0 if arg.default is None else arg.default for arg in spec.args)
        kind = spec.actors[0]
        program = Program(TDP, actors=(Actor(f"{kind}0", (Op(spec.name, args),)),))
        assert parse(format_program(program)) == program


def test_load_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.prog"
    path.write_text(CANONICAL, encoding="utf-8")
    assert load(path) == parse(CANONICAL)


def test_load_places_bytes_that_are_not_text(tmp_path: Path) -> None:
    path = tmp_path / "a.prog"
    path.write_bytes("# é\n# é".encode() + b"\xff\n")
    with pytest.raises(ProgramError) as caught:
        load(path)
    assert (caught.value.line, caught.value.column) == (2, 4)
    assert caught.value.message == "byte 0xff is not UTF-8; save the file as UTF-8 text"


def test_load_places_a_nul(tmp_path: Path) -> None:
    path = tmp_path / "a.prog"
    path.write_bytes(b"gmemdiff 1\nab\0")
    with pytest.raises(ProgramError) as caught:
        load(path)
    assert str(caught.value) == f"{path}:2:3: control character U+0000; remove it"


def test_load_tells_of_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "none.prog"
    with pytest.raises(ProgramError) as caught:
        load(path)
    assert (
        str(caught.value) == f"{path}:1:1: cannot read: No such file or directory; check the path"
    )
    with pytest.raises(ProgramError, match="cannot read"):
        load("a\0b")


def test_a_program_error_survives_pickling() -> None:
    error = ProgramError("f", 1, 2, "what; fix")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.line, again.column) == (str(error), 1, 2)
