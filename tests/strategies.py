"""Hypothesis strategies for Programs, shared by the tests.

Programs are decoded from bytes, as in the fuzzer, so shrinking shortens the bytes and with
them the Program.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from fuzz.codec import decode
from fuzz.text import format_program
from fuzz.vocabulary import Actor, Op, Program
from reference.features import PROFILES, Profile

WORDS = st.lists(
    st.text("abcxyz019-_|=>:.#é", min_size=1, max_size=6).filter(lambda word: word[0] != "#"),
    min_size=1,
    max_size=4,
)
FREE_TEXTS = WORDS.map(" ".join)
TITLES = st.lists(st.text("ab #:=>é", max_size=12).map(str.rstrip), max_size=3).map(tuple)


def profiles() -> st.SearchStrategy[Profile]:
    """Any kernel by any MMU."""
    return st.sampled_from(PROFILES)


def decoded_programs(
    profile: Profile | None = None, ops: int | None = None
) -> st.SearchStrategy[Program]:
    """What the fuzzer would run: decoded from bytes, with profile and number of ops forced."""
    return st.binary(max_size=200).map(lambda data: decode(data, profile, ops))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Decoded programs with the parts that bytes never give: expectations, models, a title."""
    program = draw(decoded_programs())

    def with_expect(op: Op) -> Op:
        return replace(op, expect=draw(FREE_TEXTS)) if draw(st.booleans()) else op

    first, *rest = program.actors
    return replace(
        program,
        setup=tuple(with_expect(op) for op in program.setup),
        actors=(Actor(first.name, tuple(with_expect(op) for op in first.ops)), *rest),
        reference=draw(st.sampled_from(("stock", "mutant:no-flush"))),
        patched=draw(st.sampled_from(("seed", "stock"))),
        expect=tuple(draw(st.lists(FREE_TEXTS, max_size=2))),
        title=draw(TITLES),
    )


@st.composite
def mutated_texts(draw: st.DrawFn) -> str:
    """Texts of valid programs with pieces removed, replaced, doubled or moved."""
    text = format_program(draw(programs()))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        other = draw(st.integers(0, len(text)))
        piece = draw(
            st.one_of(
                st.sampled_from(("", " ", "\n", "#", "=", "=>", ":", "|", "-1", "0x", "+", "\0")),
                st.just(text[other : other + 20]),
                st.text(max_size=5),
            )
        )
        text = text[:start] + piece + text[end:]
    return text
