"""The lines of the reproducer's functions: one function per stretch of an actor's steps."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from fuzz.report import op_lines
from fuzz.vocabulary import SETUP, Program
from tools.lab.case import Turn
from tools.lab.export import checks as kinds
from tools.lab.export import values
from tools.lab.export.checks import Check, Expected
from tools.lab.export.emit import GUEST_OPS, expression, guest_access
from tools.lab.export.emitter import Emitter
from tools.lab.export.words import sentence

COLUMNS: Final = 100
TAB: Final = 8
_ACTORS: Final = {
    "setup": "Before anybody runs.",
    "vcpu": "A vCPU: what its guest does.",
    "vmm": "A task of the VMM.",
    "kthread": "What a kernel thread does to the VMM's memory, asked for by a system call.",
}


@dataclass(slots=True)
class Function:
    """A C function.  races: it is a thread's; before, after: it runs before or after them."""

    name: str
    comment: str
    locals: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    races: bool = False
    before: bool = False
    after: bool = False

    def add(self, more: Sequence[str]) -> None:
        """Append a paragraph."""
        if self.lines:
            self.lines.append("")
        self.lines += more

    def local(self, declarations: Sequence[str]) -> None:
        """Declare what is not yet declared."""
        self.locals += [each for each in declarations if each not in self.locals]


def comment_of(actor: str) -> str:
    """What an actor is."""
    return _ACTORS[actor.rstrip("0123456789")]


def step_texts(program: Program) -> dict[tuple[str, int], str]:
    """``vcpu0 write gfn=0 value=7`` by (actor, index), as output and reports name a step."""
    lines = op_lines(program)
    return {key: f"{key[0]} {line.split(' =>')[0]}" for key, line in lines.items()}


def wrapped(name: str, arguments: Sequence[str]) -> list[str]:
    """A call as a statement, in lines of at most COLUMNS when it stands one tab deep.

    Lines go on below the first argument where that is near, as the kernel's style wants it.
    """
    whole = f"{name}({', '.join(arguments)});"
    if len(whole) <= COLUMNS - TAB:
        return [whole]
    width = len(name) + 1
    lead = _blank(width)
    lines = [f"{name}("]
    room = COLUMNS - TAB
    for at, argument in enumerate(arguments):
        text = argument + (");" if at == len(arguments) - 1 else ",")
        column = len(lines[-1].expandtabs(TAB))
        fresh = lines[-1].strip() in ("", f"{name}(")
        if not fresh and column + 1 + len(text) <= room:
            lines[-1] += f" {text}"
        elif fresh:
            lines[-1] += text
        else:
            lines.append(lead + text)
        if len(lines[-1].expandtabs(TAB)) > room:
            lines[-1:] = _broken_call(lines[-1])
    return lines


def _broken_call(line: str) -> list[str]:
    """A line that is too long, broken behind the last comma or | that fits."""
    lead = line[: len(line) - len(line.lstrip())]
    pieces = re.split(r"(?<=[,|]) ", line.lstrip())
    lines = [lead + pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1].expandtabs(TAB)) + 1 + len(piece) <= COLUMNS - TAB:
            lines[-1] += f" {piece}"
        else:
            lines.append(_blank(len(lead.expandtabs(TAB)) + TAB // 2) + piece)
    return lines


def _blank(columns: int) -> str:
    """White space this wide, in tabs as far as it goes."""
    return "\t" * (columns // TAB) + " " * (columns % TAB)


def remark(text: str) -> list[str]:
    """A comment of one line or more."""
    lines = textwrap.wrap(text, COLUMNS - TAB - 6)
    if len(lines) == 1:
        return [f"/* {lines[0]} */"]
    return ["/*", *(f" * {line}" for line in lines), " */"]


class Writer:
    """Makes functions of turns; the emitter collects what they need."""

    def __init__(
        self, emitter: Emitter, program: Program, told: dict[tuple[str, int], str]
    ) -> None:
        self.emitter = emitter
        self.texts = step_texts(program)
        self.told = told  # what a step is when it breaks a rule

    def serial_step(self, function: Function, turn: Turn, may: Expected, symbol: str = "") -> None:
        """A step whose result is checked, in a test of its own if that has a symbol."""
        call = self._call(function, turn)
        text = self.texts[turn.actor, turn.index]
        if symbol:
            must = " || ".join(f"got == {values.result(each)}" for each in may.results)
            function.local(["long got;"])
            statement = [
                *wrapped("got = done", ["vm", f'"{text}"', call]),
                f"check({symbol}, {must});",
            ]
        elif turn.op.name == "stat":
            self.emitter.need("any")
            statement = wrapped("step_any", ["vm", f'"{text}"', call])
        else:
            results = [values.result(each) for each in may.results]
            name = "step" if len(may.results) == 1 else "step_either"
            if name == "step_either":
                self.emitter.need("either")
            statement = wrapped(name, ["vm", f'"{text}"', call, *results])
        function.lines += statement

    def plain_step(self, function: Function, turn: Turn) -> None:
        """A step whose result depends on who was first, and is not looked at."""
        call = self._call(function, turn)
        name, _, rest = call.partition("(")
        function.lines += wrapped(name, [rest.removesuffix(")")])

    def _call(self, function: Function, turn: Turn) -> str:
        said = sentence(turn.op)
        told = self.told.get((turn.actor, turn.index), "")
        e = self.emitter
        made = (
            guest_access(e, int(turn.actor.removeprefix("vcpu")), turn.op)
            if turn.op.name in GUEST_OPS
            else expression(e, turn.op)
        )
        declared, before, call = made if isinstance(made, tuple) else ([], [], made)
        function.add([*remark(f"{said}." if not told else f"{said}.  {told}"), *before])
        function.local(declared)
        return call

    def leaves_check(self, function: Function, check: Check, symbol: str) -> None:
        """How many leaves there may be here."""
        self.emitter.need("limit")
        function.lines.append(f"check_leaves(vm, {symbol}, {check.limit});")

    def end_checks(self, checks: Sequence[Check], symbols: dict[Check, str]) -> Function | None:
        """What the guest reads in the end; None when there is nothing to read."""
        function = Function("look", "What the guest reads now, and what it must not.", after=True)
        strangers = [check for check in checks if check.kind == kinds.STRANGER]
        caches = [check for check in checks if check.kind == kinds.CACHE]
        for check in checks:
            if check.kind == kinds.LEAVES and check.at < 0:
                self.leaves_check(function, check, symbols[check])
        if strangers or caches:
            self.emitter.need("stranger")
            function.add(["stranger(TAKE);"])
            for check in strangers:
                self.emitter.need("check_stranger", "guest_read")
                function.lines.append(
                    f"check_stranger(vm, {symbols[check]}, {check.vcpu}, {check.gfn:#x}, "
                    f"{'-1' if check.content is None else values.word(check.content)});"
                )
            for check in caches:
                self.emitter.need("check_gpc", "gpc_write")
                function.lines.append(f"check_gpc(vm, {symbols[check]}, {check.gpc});")
            function.lines.append("stranger(GIVE_BACK);")
        for check in checks:
            where = f"vm, {symbols[check]}, {check.vcpu}, {check.gfn:#x}"
            if check.kind == kinds.POISON:
                assert check.content is not None
                self.emitter.need("poison", "guest_read")
                function.lines.append(f"check_poison({where}, {values.word(check.content)});")
            elif check.kind == kinds.BACKING:
                self.emitter.need("backing", "guest_write")
                place = f"{check.gmem}, {values.size(check.offset)}"
                function.lines.append(f"check_backing({where}, {place});")
        return function if function.lines else None


def serial_functions(
    writer: Writer,
    program: Program,
    order: Sequence[Turn],
    expected: tuple[Sequence[Expected], Sequence[Expected]],
    checks: Sequence[Check],
    symbols: dict[Check, str],
) -> list[Function]:
    """The setup, then one function for each stretch that an actor has to itself, then the end."""
    functions: list[Function] = []
    setup = [Turn(SETUP, index, op) for index, op in enumerate(program.setup)]
    every = [(turn, may, -1) for turn, may in zip(setup, expected[0], strict=True)]
    every += [
        (turn, may, at) for at, (turn, may) in enumerate(zip(order, expected[1], strict=True))
    ]
    last = ""
    for turn, may, at in every:
        if turn.op.name == "nop":
            continue
        if turn.actor != last:
            functions.append(Function(turn.actor, comment_of(turn.actor)))
            last = turn.actor
        own = [c for c in checks if c.kind == kinds.STEP and c.at == at >= 0]
        writer.serial_step(functions[-1], turn, may, symbols[own[0]] if own else "")
        for check in checks:
            if check.kind == kinds.LEAVES and check.at == at and at >= 0:
                writer.leaves_check(functions[-1], check, symbols[check])
    _number(functions)
    end = writer.end_checks(checks, symbols)
    return [*functions, end] if end is not None else functions


def _number(functions: Sequence[Function]) -> None:
    """Give the parts of an actor that comes more than once names of their own."""
    names = [function.name for function in functions]
    count: dict[str, int] = {}
    for function in functions:
        name = function.name
        if names.count(name) > 1:
            count[name] = count.get(name, 0) + 1
            function.name = f"{name}_{count[name]}"


def thread_functions(
    writer: Writer,
    program: Program,
    groups: Sequence[Sequence[Turn]],
    checks: Sequence[Check],
    symbols: dict[Check, str],
) -> list[Function]:
    """The setup, one function for each actor, all of them in the same rounds, then the end."""
    before = Function(SETUP, comment_of(SETUP), before=True)
    for index, op in enumerate(program.setup):
        if op.name != "nop":
            writer.plain_step(before, Turn(SETUP, index, op))
    functions = [before] if before.lines else []
    for actor in program.actors:
        function = Function(actor.name, comment_of(actor.name), races=True)
        for group in groups:
            mine = [turn for turn in group if turn.actor == actor.name]
            function.add(["meet(vm);"])
            if mine and len({turn.actor for turn in group}) > 1:
                writer.emitter.need("jitter")
                function.lines.append("jitter(seed);")
            for turn in mine:
                writer.plain_step(function, turn)
        if not any("jitter" in line for line in function.lines):
            function.lines.insert(0, "(void)seed;")
        functions.append(function)
    end = writer.end_checks(checks, symbols)
    functions += [end] if end is not None else []
    for function in functions:
        if not any("vm" in line for line in function.lines):
            function.lines.insert(0, "(void)vm;")
    return functions
