"""Arrows point one way: tools, tests -> fuzz -> patched -> reference.

The checks read syntax trees and import nothing, so an import that stands in a function or under
``if TYPE_CHECKING`` counts like any other.  Each check has a test that plants what it must find.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]

# package -> the packages of ours that it may import
ARROWS: Final[dict[str, tuple[str, ...]]] = {
    "reference": ("reference",),
    "patched": ("reference", "patched"),
    "fuzz": ("reference", "patched", "fuzz"),
    "tools": ("reference", "patched", "fuzz", "tools"),
    "tests": ("reference", "patched", "fuzz", "tools", "tests"),
}
MODELS: Final = ("reference", "patched")

# What a model could read besides its Program and Schedule, one kind a line.
OUTSIDE: Final = (
    "time datetime sched",
    "random secrets uuid",
    "threading _thread multiprocessing concurrent asyncio queue",
    "os sys platform locale gc ctypes mmap signal subprocess",
    "io pathlib tempfile socket select",
)
NOT_IN_MODELS: Final = frozenset(name for line in OUTSIDE for name in line.split())


def trees(root: Path, package: str) -> Iterator[tuple[Path, ast.Module]]:
    """Syntax trees of the modules in one package, in the order of their names."""
    for path in sorted((root / package).rglob("*.py")):
        yield path.relative_to(root), ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and top-level name of everything that one module imports."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield node.lineno, alias.name.split(".")[0]
            case ast.ImportFrom(module=module, names=names, level=level):
                # One dot is the folder of the module, also for an __init__.py.
                folder = path.parent.parts
                base = [*folder[: len(folder) - level + 1]] if level else []
                base += module.split(".") if module else []
                tops = base[:1] or [alias.name for alias in names]
                for top in tops:
                    yield node.lineno, top
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module")
                | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name.split(".")[0]


def wrong_arrows(root: Path) -> list[str]:
    """Imports that go against ARROWS, as ``file:line: from -> to``."""
    return [
        f"{path}:{line}: {package} -> {top}"
        for package, allowed in ARROWS.items()
        for path, tree in trees(root, package)
        for line, top in imports(path, tree)
        if top in ARROWS and top not in allowed
    ]


def machine_imports(root: Path) -> list[str]:
    """Imports in model code of what would make a run depend on more than its inputs."""
    return [
        f"{path}:{line}: import of {top}"
        for package in MODELS
        for path, tree in trees(root, package)
        for line, top in imports(path, tree)
        if top in NOT_IN_MODELS
    ]


def is_set(node: ast.expr) -> bool:
    """Whether an expression is, by its looks alone, a set."""
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
            return is_set(left) or is_set(node.right)
        case _:
            return False


def set_loops(root: Path) -> list[str]:
    """Loops in model code over a set; ``sorted(set(...))`` is the way to write them."""
    return [
        f"{path}:{node.iter.lineno}: loop over a set"
        for package in MODELS
        for path, tree in trees(root, package)
        for node in ast.walk(tree)
        if isinstance(node, ast.For | ast.comprehension) and is_set(node.iter)
    ]


def plant(root: Path, name: str, text: str) -> None:
    """Write one module of a made-up tree."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_no_import_goes_against_the_arrows() -> None:
    assert wrong_arrows(ROOT) == []


def test_models_import_no_clock_chance_thread_or_machine() -> None:
    assert machine_imports(ROOT) == []


def test_models_loop_over_no_set() -> None:
    assert set_loops(ROOT) == []


def test_every_package_is_read() -> None:
    assert all(any(trees(ROOT, package)) for package in ARROWS)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("reference/a.py", "import fuzz.vocabulary\n", "reference/a.py:1: reference -> fuzz"),
        ("reference/a.py", "import ast, patched\n", "reference/a.py:1: reference -> patched"),
        ("patched/a.py", "\nfrom fuzz import codec\n", "patched/a.py:2: patched -> fuzz"),
        ("fuzz/a.py", "from tools.cli import main\n", "fuzz/a.py:1: fuzz -> tools"),
        ("tools/a.py", "import tests.unit\n", "tools/a.py:1: tools -> tests"),
        ("reference/a.py", "from ..fuzz import codec\n", "reference/a.py:1: reference -> fuzz"),
        ("patched/m/a.py", "from ... import fuzz\n", "patched/m/a.py:1: patched -> fuzz"),
        ("fuzz/a.py", "def f():\n    import tools\n", "fuzz/a.py:2: fuzz -> tools"),
        ("fuzz/a.py", "import_module('tools.cli')\n", "fuzz/a.py:1: fuzz -> tools"),
        (
            "reference/a.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from patched import kvm\n",
            "reference/a.py:3: reference -> patched",
        ),
    ],
)
def test_a_planted_wrong_arrow_is_found(tmp_path: Path, name: str, text: str, found: str) -> None:
    plant(tmp_path, name, text)
    assert wrong_arrows(tmp_path) == [found]


def test_right_arrows_are_let_through(tmp_path: Path) -> None:
    plant(tmp_path, "reference/a.py", "from . import b\nfrom .b import c\n")
    plant(tmp_path, "patched/m/a.py", "from ..b import c\nfrom ... import reference\n")
    plant(tmp_path, "fuzz/a.py", "import patched, reference.kvm\n")
    plant(tmp_path, "tools/a.py", "import fuzz, patched, reference\n")
    plant(tmp_path, "tests/a.py", "import tools, fuzz\n")
    assert wrong_arrows(tmp_path) == []


@pytest.mark.parametrize(
    "text", ["import time\n", "from os import path\n", "def f():\n    import random\n"]
)
def test_a_planted_machine_import_is_found(tmp_path: Path, text: str) -> None:
    plant(tmp_path, "patched/a.py", text)
    plant(tmp_path, "fuzz/a.py", text)
    assert len(machine_imports(tmp_path)) == 1


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("for x in {1, 2}: pass\n", 1),
        ("for x in set(y): pass\n", 1),
        ("a = [x for x in frozenset(y)]\n", 1),
        ("for x in set(y) - z: pass\n", 1),
        ("for x in sorted(set(y)): pass\n", 0),
        ("for x in {1: 2}: pass\n", 0),
    ],
)
def test_a_planted_loop_over_a_set_is_found(tmp_path: Path, text: str, count: int) -> None:
    plant(tmp_path, "reference/a.py", text)
    assert len(set_loops(tmp_path)) == count
