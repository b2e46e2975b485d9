"""Which blocks of model code ran: one byte each, set by statements put into the models' functions.

Every function of a model gets ``hits[n] = 1`` at the start of each block and after each compound
statement, which costs a tenth of a run; instrumenting the bytecode as Atheris does costs as much
as the run itself.  The bytes are what libFuzzer reads as coverage, and what reports turn into
lines.  Only functions that an overlay could replace (reference/kvm.py) have probes: the models,
not the engine.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from types import FunctionType
from typing import Any, Final

from fuzz.overlay import Model

PROBES_MAX: Final = 4096  # per side; the models have about 1,100
_COMPOUND: Final = (ast.If, ast.For, ast.While, ast.Try, ast.With, ast.Match)
_numbers: Final = count()


@dataclass(frozen=True, slots=True)
class Place:
    """What one probe stands for: these lines of this file ran."""

    filename: str
    function: str
    lines: tuple[int, ...]


class Probes:
    """The probes of one side's model.

    hits: bytes that several sides may share; those of this one start at `first`, and each is 1
    when its lines ran since somebody cleared it.
    places: what each probe stands for, in the same order.
    spans: where in them each function has its own, in order.
    """

    def __init__(self, model: Model, hits: bytearray | None = None, first: int = 0) -> None:
        self.hits = bytearray(PROBES_MAX) if hits is None else hits
        self.first = first
        self.places: list[Place] = []
        self.spans: dict[str, range] = {}
        # Functions see the bytes as a global of their module, under a name of this object's own.
        self._name = f"_gmemdiff_hits_{next(_numbers)}"
        self.model = replace(model, kvm=self._class(model))

    def _class(self, model: Model) -> type[Any]:
        body: dict[str, Any] = {}
        for name, function in model_functions(model):
            start = len(self.places)
            body[name] = self._probed(function)
            self.spans[name] = range(start, len(self.places))
        return type(model.kvm.__name__, (model.kvm,), {"__slots__": (), **body})

    def _probed(self, function: FunctionType) -> FunctionType:
        """A copy of a model function that tells where it went."""
        tree, filename = source_of(function)
        root = tree.body[0]
        assert isinstance(root, ast.FunctionDef)
        self._block(root.body, filename, root.name)
        ast.fix_missing_locations(tree)
        # Annotations stay unevaluated, as in the file: this module has the same future import.
        code = compile(tree, function.__code__.co_filename, "exec")
        function.__globals__[self._name] = self.hits
        scope: dict[str, Any] = {}
        exec(code, function.__globals__, scope)
        result: FunctionType = scope[root.name]
        return result

    def _block(self, body: list[ast.stmt], filename: str, function: str) -> None:
        """Put probes into one block and the blocks inside it."""
        at = 0
        stretch: list[ast.stmt] = []
        starts: list[tuple[int, list[ast.stmt]]] = []
        if _is_docstring(body[0]):
            at = 1
        for index in range(at, len(body)):
            if not stretch:
                starts.append((index, stretch))
            stretch.append(body[index])
            for inner in _inner_blocks(body[index]):
                self._block(inner, filename, function)
            if isinstance(body[index], _COMPOUND):  # it may not come back
                stretch = []
        for index, statements in reversed(starts):
            lines = sorted({line for each in statements for line in _own_lines(each)})
            if not lines:
                continue
            self.places.append(Place(filename, function, tuple(lines)))
            body.insert(index, self._probe(len(self.places) - 1, statements[0]))

    def _probe(self, number: int, at: ast.stmt) -> ast.stmt:
        if number >= PROBES_MAX:
            raise ValueError(
                f"more than {PROBES_MAX} probes in {self.model.name}; raise PROBES_MAX"
            )
        statement = ast.parse(f"{self._name}[{self.first + number}] = 1").body[0]
        for node in ast.walk(statement):
            if isinstance(node, ast.expr | ast.stmt):
                ast.copy_location(node, at)
        return statement


def model_functions(model: Model) -> Iterator[tuple[str, FunctionType]]:
    """The functions that make up a model, by the name they are called by, sorted."""
    for name in dir(model.kvm):
        value = inspect.getattr_static(model.kvm, name)
        if isinstance(value, FunctionType) and _is_plain(value):
            yield name, value


def _is_plain(function: FunctionType) -> bool:
    """Whether a function is what its source says: a ``def`` of its own at the top of a file.

    The engine's methods are not; and an overlay may hold lambdas, closures and decorated
    functions, which run as they are, without probes.
    """
    name = function.__qualname__
    return name.isidentifier() and not hasattr(function, "__wrapped__")


def source_of(function: FunctionType) -> tuple[ast.Module, str]:
    """A function's syntax tree, with line numbers of the file that is given beside it.

    A function made by an edit (fuzz/overlay.py) is shown where the original stands; lines after
    the edit may be off by what the edit adds.
    """
    origin: Any = function
    while hasattr(origin, "rewritten_from"):
        origin = origin.rewritten_from
    filename = inspect.getsourcefile(origin) or origin.__code__.co_filename
    text = getattr(function, "rewritten_source", None)
    if text is None:
        text = textwrap.dedent(inspect.getsource(function))
    tree = ast.parse(text)
    ast.increment_lineno(tree, origin.__code__.co_firstlineno - 1)
    return tree, filename


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _inner_blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The blocks of statements directly inside a compound statement."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if block and not isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield block
    for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield part.body


def _own_lines(node: ast.stmt) -> Iterator[int]:
    """Lines of a statement without the blocks inside it."""
    first = next(iter(next(_inner_blocks(node), [])), None)
    end = first.lineno - 1 if first is not None else node.end_lineno or node.lineno
    yield from range(node.lineno, max(node.lineno, end) + 1)
