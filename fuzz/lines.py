"""What one line of a ``*.prog`` file says by itself: its words, its key, its op.

The one idea: a campaign reads thousands of texts a second that are mostly the same lines, so
what a line alone decides is worked out once and remembered by the line.  fuzz/parser.py knows
where in a text a line may stand, and adds file and number to complaints.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from fuzz.values import CONTROL, ValueTextError, example, parse_value, unknown
from fuzz.vocabulary import OPS, Op, OpSpec

LINES_KEPT: Final = 1 << 12
CHARACTERS_KEPT: Final = 256  # longer lines are not remembered: hostile files may be all such
_WORD: Final = re.compile(r"\S+")


class Word(NamedTuple):
    """A run of non-blank characters and the column it starts at, from 1."""

    text: str
    column: int


class LineError(Exception):
    """What is wrong with a line, at which column; the file and the line's number are missing."""

    def __init__(self, column: int, message: str) -> None:
        super().__init__(column, message)
        self.column = column
        self.message = message


class Line:
    """A line that holds something, or not; `words` ends where a comment begins.

    key: what stands before the colon of ``key: values``; None when the line is not of that form.
    """

    __slots__ = ("_op", "key", "values", "words")

    def __init__(self, text: str) -> None:
        """Raises LineError at a control character."""
        if control := CONTROL.search(text):
            message = f"control character U+{ord(control[0]):04X}; remove it"
            raise LineError(control.start() + 1, message)
        words: list[Word] = []
        for match in _WORD.finditer(text):
            if match[0].startswith("#"):
                break
            words.append(Word(match[0], match.start() + 1))
        self.words = tuple(words)
        self.key, self.values = _keyed(self.words)
        self._op: Op | None = None

    @property
    def op(self) -> Op:
        """The op that a line of an op's name, its arguments and perhaps a result says.

        Raises LineError.
        """
        if self._op is None:
            self._op = _op_of(self.words)
        return self._op


def line_of(text: str) -> Line:
    """Read one line.  Raises LineError at a control character."""
    return Line(text) if len(text) > CHARACTERS_KEPT else _kept(text)


_kept = lru_cache(LINES_KEPT)(Line)


def _keyed(words: tuple[Word, ...]) -> tuple[Word | None, tuple[Word, ...]]:
    """Split ``key: values``."""
    if not words:
        return None, words
    first = words[0]
    name, colon, rest = first.text.partition(":")
    if not colon:
        return None, words
    key = Word(name, first.column)
    if rest.startswith("#"):
        return key, ()
    values = (Word(rest, first.column + len(name) + 1),) if rest else ()
    return key, values + words[1:]


def _op_of(words: tuple[Word, ...]) -> Op:
    name = words[0].text
    spec = OPS[name]
    values: dict[str, int] = {}
    expect = ""
    for number, word in enumerate(words[1:], start=1):
        if word.text == "=>":
            expect = " ".join(rest.text for rest in words[number + 1 :])
            if not expect:
                message = "nothing after '=>'; write the result, or remove it"
                raise LineError(word.column, message)
            break
        _argument(spec, word, values)
    for arg in spec.args:
        if arg.name not in values:
            if arg.default is None:
                message = f"{name} lacks {arg.name}; add {arg.name}={example(arg)}"
                raise LineError(words[0].column, message)
            values[arg.name] = arg.default
    return Op(name, tuple(values[arg.name] for arg in spec.args), expect)


def _argument(spec: OpSpec, word: Word, values: dict[str, int]) -> None:
    """Read one ``name=value`` into `values`."""
    name, equals, text = word.text.partition("=")
    if not name or not equals:
        message = f"'{word.text}' is no argument; write name=value, or ' => result'"
        raise LineError(word.column, message)
    arg = next((arg for arg in spec.args if arg.name == name), None)
    if arg is None:
        names = [arg.name for arg in spec.args]
        raise LineError(word.column, unknown(f"argument of {spec.name}", name, names))
    if name in values:
        raise LineError(word.column, f"second {name}; keep one")
    try:
        values[name] = parse_value(arg, text)
    except ValueTextError as error:
        raise LineError(word.column + len(name) + 1, str(error)) from error
