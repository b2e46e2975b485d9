"""Macros in an object's .debug_macro (gcc and clang write it with -g3), and what they come to.

Only what kernel headers write their constants with is evaluated: integers, casts, operators, and
macros of those.  Anything else has no value here, and is said to have none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_DEPTH_MAX: Final = 40  # of macros in macros
_TOKEN: Final = re.compile(r"\s*(0[xX][0-9a-fA-F]+|\d+|[A-Za-z_]\w*|<<|>>|[-+*/~()|&^,])")
_SUFFIX: Final = re.compile(r"\b(0[xX][0-9a-fA-F]+|\d+)(?:[uU][lL]{0,2}|[lL]{1,2}[uU]?)\b")
_CAST: Final = re.compile(
    r"\(\s*(?:const\s+)?((?:(?:unsigned|signed|long|int|short|char)\b\s*)+|(?:__)?[us](?:8|16|32|64)"
    r"|[gh](?:fn|pa|va)_t|pgoff_t|size_t)\s*\)"
)
_WIDTHS: Final = {"char": 8, "8": 8, "short": 16, "16": 16, "int": 32, "32": 32}


class _NoValueError(Exception):
    """A macro that is no constant."""


@dataclass(slots=True)
class Macros:
    """Macros by name: with their parameters, if any, and their text."""

    known: dict[str, tuple[tuple[str, ...] | None, str]] = field(default_factory=dict)

    def add(self, definition: str) -> None:
        """Note ``NAME text`` or ``NAME(a,b) text``; the last one of a name stands."""
        head = re.match(r"(\w+)(?:\(([^)]*)\))?(?:\s+(.*))?$", definition, re.DOTALL)
        if head:
            names = None if head[2] is None else tuple(p.strip() for p in head[2].split(","))
            self.known[head[1]] = (names, head[3] or "")

    def value(self, text: str) -> int | None:
        """What a macro, or an expression of several, comes to; None when it is no number."""
        try:
            return _evaluate(self._expand(text, 0))
        except _NoValueError:
            return None

    def _expand(self, text: str, depth: int) -> str:
        if depth > _DEPTH_MAX:
            raise _NoValueError
        text = _SUFFIX.sub(r"\1", _CAST.sub(_cast, text))
        parts: list[str] = []
        at = 0
        while at < len(text.rstrip()):
            token = _TOKEN.match(text, at)
            if token is None:
                raise _NoValueError
            at = token.end()
            word = token[1]
            if not (word[0].isalpha() or word[0] == "_") or word.startswith("cast_"):
                parts.append(word)
                continue
            if word not in self.known:
                raise _NoValueError
            names, body = self.known[word]
            if names is not None:
                arguments, at = _arguments(text, at)
                body = _put_in(body, dict(zip(names, arguments, strict=False)))
            parts.append(f"({self._expand(body, depth + 1)})")
        return " ".join(parts)


def _cast(cast: re.Match[str]) -> str:
    """A cast as an operator of ours: cast_u16 and so on."""
    name = cast[1]
    width = next((bits for part, bits in _WIDTHS.items() if part in name), 64)
    if "long" in name:
        width = 64
    elif name.strip() in ("unsigned", "signed"):
        width = 32
    signed = bool(re.match(r"(__)?s\d|signed|long|int|short|char", name)) and "uns" not in name
    return f" cast_{'s' if signed else 'u'}{width} "


def _arguments(text: str, at: int) -> tuple[list[str], int]:
    """The arguments of a macro, from its bracket on; and where they end."""
    if not text[at:].lstrip().startswith("("):
        raise _NoValueError
    at = text.index("(", at) + 1
    depth, start, found = 1, at, []
    while depth:
        if at >= len(text):
            raise _NoValueError
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0 or (depth == 1 and text[at] == ","):
            found.append(text[start:at])
            start = at + 1
        at += 1
    return found, at


def _put_in(body: str, arguments: dict[str, str]) -> str:
    """The body of a macro with its arguments, also pasted ones (``x##UL``)."""
    pasted = re.sub(r"\s*##\s*", "\0", body)
    pasted = re.sub(r"\w+", lambda word: arguments.get(word[0], word[0]).strip(), pasted)
    return pasted.replace("\0", "")


def _evaluate(text: str) -> int:
    """A number from an expression of numbers and operators: by descent, as C binds."""
    tokens = re.findall(r"cast_[su]\d+|0[xX][0-9a-fA-F]+|\d+|<<|>>|[-+*/~()|&^]", text)
    value, rest = _binary(tokens, 0)
    if rest:
        raise _NoValueError
    return value


_LEVELS: Final = (("|",), ("^",), ("&",), ("<<", ">>"), ("+", "-"), ("*", "/"))


def _binary(tokens: list[str], level: int) -> tuple[int, list[str]]:
    if level == len(_LEVELS):
        return _unary(tokens)
    left, tokens = _binary(tokens, level + 1)
    while tokens and tokens[0] in _LEVELS[level]:
        right, rest = _binary(tokens[1:], level + 1)
        left = _apply(tokens[0], left, right)
        tokens = rest
    return left, tokens


def _apply(operator: str, left: int, right: int) -> int:
    if (operator in ("<<", ">>") and not 0 <= right < 64) or (operator == "/" and not right):
        raise _NoValueError
    match operator:
        case "|":
            return left | right
        case "^":
            return left ^ right
        case "&":
            return left & right
        case "<<":
            return left << right
        case ">>":
            return left >> right
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case _:
            return left // right


def _unary(tokens: list[str]) -> tuple[int, list[str]]:
    if not tokens:
        raise _NoValueError
    head, rest = tokens[0], tokens[1:]
    if head == "(":
        value, rest = _binary(rest, 0)
        if rest[:1] != [")"]:
            raise _NoValueError
        return value, rest[1:]
    if head in ("-", "~", "+"):
        value, rest = _unary(rest)
        return {"-": -value, "~": ~value, "+": value}[head], rest
    if head.startswith("cast_"):
        value, rest = _unary(rest)
        width = int(head[6:])
        value &= (1 << width) - 1
        if head[5] == "s" and value >> (width - 1):
            value -= 1 << width
        return value, rest
    if head[0].isdigit():
        octal = re.fullmatch(r"0[0-7]+", head)
        return int(head, 8 if octal else 0 if head[:2].lower() == "0x" else 10), rest
    raise _NoValueError
