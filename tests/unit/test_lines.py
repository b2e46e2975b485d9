"""Single lines: what is remembered of them must not show."""

from __future__ import annotations

import pytest

from fuzz.lines import CHARACTERS_KEPT, line_of
from fuzz.text import ProgramError, format_program, parse, validate
from fuzz.vocabulary import Actor, Op, Program
from reference.features import Profile

TDP = Profile("v7.2", "x86-tdp")
HEAD = "gmemdiff 1\nprofile: v7.2 x86-tdp\n"


def place(text: str) -> tuple[int, int]:
    """Line and column of the mistake in a text."""
    with pytest.raises(ProgramError) as caught:
        parse(text)
    return caught.value.line, caught.value.column


def test_a_line_seen_before_is_told_by_its_new_number() -> None:
    wrong = "  read gfn=x"
    assert place(HEAD + f"vcpu0:\n{wrong}\n") == (4, 12)
    assert place(HEAD + f"\n\nvcpu0:\n  nop\n{wrong}\n") == (7, 12)
    assert place(HEAD + f"vmm0:\n{wrong}\n") == (4, 3)  # no op of a VMM, before all else


def test_a_line_is_an_op_only_where_an_op_may_stand() -> None:
    op = "  read gfn=1"
    assert parse(HEAD + f"vcpu0:\n{op}\n").actors == (Actor("vcpu0", (Op("read", (1, 0, 0)),)),)
    assert place(HEAD + f"{op}\n") == (3, 3)
    assert place(HEAD + f"vcpu0:\nschedule:\n{op}\n") == (5, 3)


def test_a_control_character_comes_before_any_other_mistake() -> None:
    assert place("nonsense\nvcpu0:\n  read \x00\n") == (3, 8)
    assert place("nonsense\nvcpu0:\n  read \x00\n") == (3, 8)


def test_one_line_is_read_once() -> None:
    assert line_of("  read gfn=1") is line_of("  read gfn=1")
    assert line_of("  read gfn=1").op is line_of("  read gfn=1").op


def test_long_lines_are_not_remembered() -> None:
    long = "#" * (CHARACTERS_KEPT + 1)
    assert line_of(long) is not line_of(long)


def test_a_value_that_only_equals_a_number_is_not_written_as_one() -> None:
    good = Program(TDP, actors=(Actor("vcpu0", (Op("read", (1, 0, 0)),)),))
    odd = Program(TDP, actors=(Actor("vcpu0", (Op("read", (True, 0, 0)),)),))
    for program in (good, odd, good):  # whichever is written first
        text = format_program(program)
        assert ("gfn=True" in text) == (program is odd)
    validate(good)
    with pytest.raises(ProgramError):
        validate(odd)
