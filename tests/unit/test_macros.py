"""Macros as kernel headers write them come to the numbers that C gives them."""

from __future__ import annotations

import pytest

from fuzz.port.macros import Macros

HEADERS = (
    "BITS 64",
    "_AC(X,Y) __AC(X,Y)",
    "__AC(X,Y) (X ##Y)",
    "UL(x) (_AC(x, UL))",
    "_BITULL(x) (_ULL(1) << (x))",
    "_ULL(x) (_AC(x, ULL))",
    "BIT(nr) (UL(1) << (nr))",
    "USHRT_MAX ((unsigned short)~0U)",
    "SHRT_MAX ((s16)(USHRT_MAX >> 1))",
    "LOOP (LOOP + 1)",
    "OTHER LOST",
    "EMPTY",
    "ABCUL 3",
)


def value(text: str) -> int | None:
    """What a macro with this text comes to, among those headers."""
    macros = Macros()
    for definition in (*HEADERS, f"IT {text}"):
        macros.add(definition)
    return macros.value("IT")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        ("0x10UL", 16),
        ("017", 15),
        ("(1UL << 2)", 4),
        ("((1UL << 31) - 1)", (1 << 31) - 1),
        ("BIT(17)", 1 << 17),
        ("_BITULL(63)", 1 << 63),
        ("(UL(1) << 16)", 1 << 16),
        ("USHRT_MAX", 0xFFFF),
        ("(SHRT_MAX - 3)", 32764),
        ("((unsigned int)-1)", 0xFFFFFFFF),
        ("((u64)~0)", (1 << 64) - 1),
        ("1 | 2 & 6 ^ 4 << 1 + 1", 1 | 2 & 6 ^ 4 << 1 + 1),
        ("ABCUL", 3),
    ],
)
def test_what_a_header_writes_has_the_value_of_c(text: str, number: int) -> None:
    assert value(text) == number


@pytest.mark.parametrize(
    "text",
    ["LOOP", "OTHER", "EMPTY", "sizeof(long)", '"text"', "1 <<", "(1", "1 / 0", "1 << 200",
     "BIT", "BIT(", "1 2", "__attribute__((packed))", ""],
)  # fmt: skip
def test_what_is_no_number_has_no_value(text: str) -> None:
    assert value(text) is None


def test_a_macro_that_is_not_there_has_no_value() -> None:
    assert Macros().value("IT") is None
