"""Where a patch can first act: marks that tell whether a run was the same on both sides.

Until a run comes to a line that the patch changed, the patched port does what the stock one does,
step for step.  So a mark is put before each change (``patch_acted = 1``); a run that ended without
passing one need not be done again on the stock side (fuzz/c/explore.c).  fuzz/twins.py does that
for models in Python.

A mark stands, in this order of preference:

* before an added or a removed ``if (C) statement``: C is asked there, and the mark counts only if
  it holds.  C must be an expression that can only look: no assignment, and calls of functions
  alone whose whole body is to return such an expression;
* before an ``if (C)`` that becomes ``if (D)``, or a ``return C`` that becomes ``return D``: both
  are asked, and the mark counts only if the answers differ;
* before the first changed line, when every way to the change leads through there;
* at the head of the function.

Once a mark has counted, none is asked: what stock would ask need not make sense in a state that
stock is not in.  Marks are appended to the line before, so that no line and no column of the patch
moves.  A change outside of functions (a structure, a macro) cannot be marked, and then both sides
always run; functions that are new are marked by those who call them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

_MARK: Final = " {{ extern _Bool patch_acted; if (!patch_acted && ({})) patch_acted = 1; }}"
_COMMENT: Final = re.compile(
    r"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|/\*.*?\*/|//[^\n]*""", re.DOTALL
)
_TOKEN: Final = re.compile(r"\w+|->|&&|\|\||[=!<>]=|<<|>>|\S")
_CHANGES_OR_CALLS: Final = frozenset({("+", "+"), ("-", "-"), (")", "(")})
_WORD: Final = re.compile(r"[A-Za-z_]\w*\Z")
_LOOKS: Final = re.compile(r"->|&&|\|\||[=!<>]=|<<|>>|[.!&|~^<>()+*/%?:,-]")
_JUMPED_TO: Final = re.compile(r"\b(?:case\b|default\s*:)|^\s*\w+\s*:(?!:)", re.MULTILINE)
_GOES_ON: Final = re.compile(r"\s*(?:\}|\{|else\b|while\b)")
_GUARD: Final = re.compile(r"\s*if\s*\(")
_QUESTION: Final = re.compile(r"if \((.*)\)(?: \{)?")  # as a whole
_ANSWER: Final = re.compile(r"return (.*);")
_LOOKING: Final = re.compile(
    r"^(?:static )?inline [\w \t*]*?\b(\w+)\([^)]*\)[^\n]*\n\{\n\s*return ([^;{}]*);\n\}$",
    re.MULTILINE,
)
_NEW_FUNCTION: Final = re.compile(r"^static [\w \t*]*?\b(\w+)\(")


@dataclass(frozen=True, slots=True)
class Marked:
    """Sources with marks, and whether every change has one."""

    sources: Mapping[str, str]
    complete: bool


class _UnmarkableError(Exception):
    """A change that no mark can stand before."""


def marked(stock: Mapping[str, str], patched: Mapping[str, str]) -> Marked:
    """Put marks before what `patched` (file name -> text) changes of `stock`."""
    looking = _looking(patched.values())
    result = dict(patched)
    try:
        if stock.keys() != patched.keys():
            raise _UnmarkableError
        for name, text in patched.items():
            if text != stock[name]:
                result[name] = _File(stock[name], text, looking, stock.values()).marked()
    except _UnmarkableError:
        return Marked(dict(patched), False)
    return Marked(result, True)


class _File:
    """One changed file."""

    def __init__(
        self, stock: str, patched: str, looking: frozenset[str], everything: Iterable[str]
    ) -> None:
        self.lines = patched.splitlines()
        # What is compared and looked at has no comments, but as many lines.
        self.old = _bare(stock).splitlines()
        self.new = _bare(patched).splitlines()
        self.looking = looking
        self.everything = everything
        self.head = _heads(self.new)  # line -> that of its function's brace

    def marked(self) -> str:
        """The file's text with marks."""
        matcher = SequenceMatcher(None, self.old, self.new, autojunk=False)
        marks: dict[int, list[str]] = {}
        for tag, i1, i2, j1, j2 in matcher.get_opcodes():
            old, new = self.old[i1:i2], self.new[j1:j2]
            if tag == "equal" or not "".join((*old, *new)).strip():
                continue
            at, condition = self._mark(old, new, j1, j2)
            if at >= 0:
                marks.setdefault(at, []).append(condition)
        lines = list(self.lines)
        for at, conditions in marks.items():
            lines[at] += "".join(_MARK.format(condition) for condition in conditions)
        return "\n".join(lines) + "\n"

    def _mark(self, old: Sequence[str], new: Sequence[str], j1: int, j2: int) -> tuple[int, str]:
        """The line that a mark of a change is appended to, and its condition; -1: none needed."""
        if any(line.lstrip().startswith("#") or line.endswith("\\") for line in (*old, *new)):
            raise _UnmarkableError
        head = self.head.get(j1 - 1, -1)
        outside = any(line.startswith(("{", "}")) for line in old)
        if head < 0 or outside or any(self.head.get(line) != head for line in range(j1, j2)):
            if not any(line.strip() for line in old) and self._is_new_function(new):
                return -1, ""
            raise _UnmarkableError
        before = next((i for i in range(j1 - 1, head - 1, -1) if self.new[i].strip()), head)
        after = next((line for line in self.new[j2:] if line.strip()), "}")
        if not self._can_stand_after(before):
            return self._at_head(head), "1"
        condition = _differs(old, new, self.looking)
        if condition and not re.match(r"\s*else\b", after):
            return before, condition
        if _is_whole(old, new, after):
            return before, "1"
        return self._at_head(head), "1"

    def _at_head(self, head: int) -> int:
        if not self._can_stand_after(head):
            raise _UnmarkableError
        return head

    def _can_stand_after(self, at: int) -> bool:
        """Whether a statement can stand at the end of a line."""
        return (
            self.new[at].rstrip().endswith((";", "{", "}"))
            and not self.new[at].lstrip().startswith("#")
            and "//" not in self.lines[at]
            # A comment that goes on in the next line.
            and self.lines[at].rfind("/*") <= self.lines[at].rfind("*/")
        )

    def _is_new_function(self, new: Sequence[str]) -> bool:
        """Whether added lines are functions that only changed code can call."""
        text = "\n".join(new).strip()
        while text:
            match = _NEW_FUNCTION.match(text)
            end = text.find("\n}")
            semicolon = text.find(";")
            if match is None or end < 0 or 0 <= semicolon < text.find("\n{\n"):
                return False
            name = re.compile(rf"\b{match[1]}\b")
            if any(name.search(_bare(each)) for each in self.everything):
                return False
            text = text[end + 2 :].lstrip()
        return True


def _bare(text: str) -> str:
    """The text without its comments; lines stay where they are."""

    def gap(match: re.Match[str]) -> str:
        return match[1] or " " + "\n" * match[0].count("\n")

    return "\n".join(line.rstrip() for line in _COMMENT.sub(gap, text).split("\n"))


def _heads(lines: Sequence[str]) -> dict[int, int]:
    """For each line of a function's body, from its brace on: where that brace is."""
    heads: dict[int, int] = {}
    head = -1
    for number, line in enumerate(lines):
        # Also the head of a function only: a structure's brace is not at the margin.
        if line == "{":
            head = number
        elif line.startswith("}"):
            head = -1
        if head >= 0:
            heads[number] = head
    return heads


def _looking(texts: Iterable[str]) -> frozenset[str]:
    """The inline functions that only return an expression that only looks."""
    bodies: dict[str, str] = {}
    for text in texts:
        for match in _LOOKING.finditer(_bare(text)):
            # Two of one name: which is meant is not known here.
            bodies[match[1]] = match[2] if match[1] not in bodies else "?"
    known: frozenset[str] = frozenset()
    while True:
        more = frozenset(name for name, body in bodies.items() if _only_looks(body, known))
        if more == known:
            return known
        known = more


def _only_looks(expression: str, looking: frozenset[str]) -> bool:
    tokens = _TOKEN.findall(expression)
    for token, follows in zip(tokens, (*tokens[1:], ""), strict=True):
        if _WORD.match(token):
            if follows == "(" and token not in looking:
                return False
        elif not (_LOOKS.fullmatch(token) or token[0].isdigit()):
            return False
        if (token, follows) in _CHANGES_OR_CALLS:
            return False
    return True


def _differs(old: Sequence[str], new: Sequence[str], looking: frozenset[str]) -> str:
    """When a change makes a difference, as a condition; "" where that cannot be asked."""
    if not "".join(old).strip():
        return _guard(new, looking)
    if not "".join(new).strip():
        return _guard(old, looking)
    for question, ask in ((_QUESTION, "!({}) != !({})"), (_ANSWER, "({}) != ({})")):
        matches = [question.fullmatch(" ".join(" ".join(lines).split())) for lines in (old, new)]
        before, after = (match[1] if match and _balanced(match[1]) else "" for match in matches)
        if before and after and _only_looks(before, looking) and _only_looks(after, looking):
            return ask.format(before, after)
    return ""


def _guard(new: Sequence[str], looking: frozenset[str]) -> str:
    """The condition of added lines that are one ``if`` with one statement; "" if they are not."""
    text = "\n".join(new).strip()
    match = _GUARD.match(text)
    if match is None:
        return ""
    depth, at = 1, match.end()
    while at < len(text) and depth:
        depth += (text[at] == "(") - (text[at] == ")")
        at += 1
    condition, body = text[match.end() : at - 1], text[at:].strip()
    if body.startswith("{"):
        closes = _closes(body)
        one = closes == len(body) - 1
    else:
        one = re.match(r"(?:if|for|while|do|switch|else)\b", body) is None and (
            body != "" and body.find(";") == len(body) - 1
        )
    return " ".join(condition.split()) if one and _only_looks(condition, looking) else ""


def _balanced(text: str) -> bool:
    """Whether every parenthesis that closes was opened in the text, and the other way round."""
    depth = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return False
    return depth == 0


def _closes(text: str) -> int:
    """Where the brace that a text begins with closes; -1: nowhere."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if not depth:
            return at
    return -1


def _is_whole(old: Sequence[str], new: Sequence[str], after: str) -> bool:
    """Whether the only way to changed lines is through the first of them."""
    depths = set()
    for lines in (old, new):
        text = "\n".join(lines)
        if _JUMPED_TO.search(text) or _GOES_ON.match(text):
            return False
        depth = 0
        for character in text:
            depth += (character == "{") - (character == "}")
            if depth < 0:
                return False
        depths.add(depth)
    return len(depths) == 1 and re.match(r"\s*(?:else\b|while\b|\{)", after) is None
