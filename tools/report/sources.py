"""Which lines of the models the corpus reaches, on each side, with the text around them.

Programs of the corpus are run once more while coverage.py watches: slower than what the workers
use, but it needs nothing of theirs, also not that they ran.  Only lines inside functions count;
what an import runs says nothing.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Final, TypeAlias

import coverage

import reference
from fuzz.execution import HarnessError
from fuzz.overlay import Model
from fuzz.search import execute
from fuzz.text import ProgramError, load
from fuzz.timeline import PATCHED, REFERENCE
from fuzz.vocabulary import Program

PROGRAMS_MAX: Final = 400  # a report should take seconds
# Profiles as data: the few lines of code in it run once in a process, whoever asks first.
LEFT_OUT: Final = ("__init__.py", "features.py")
HIT: Final = "h"
MISSED: Final = "m"
PLAIN: Final = "n"  # nothing to run

Lines: TypeAlias = Mapping[int, bool]  # line -> reached; lines that cannot run are not in it
Covered: TypeAlias = Mapping[str, Mapping[str, Lines]]  # side -> file -> lines


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive lines with the same marks on both sides."""

    first: int
    marks: str  # reference, then patched; each HIT, MISSED or PLAIN
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """Lines reached of lines that could be."""

    hit: int
    total: int


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a model."""

    name: str
    shares: Mapping[str, Share]  # side -> share; a side that does not use the file is not in it
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Sources:
    """Source coverage of both models, and what it was measured with."""

    files: tuple[SourceFile, ...]
    shares: Mapping[str, Share]
    programs: int  # run for this
    corpus: int  # there were


def chosen(paths: Sequence[Path], most: int = PROGRAMS_MAX) -> list[Path]:
    """At most so many of them, evenly spaced: names are hashes, so this is a fair sample."""
    count = len(paths)
    if count <= most:
        return list(paths)
    return [paths[at * count // most] for at in range(most)]


def programs_in(paths: Iterable[Path]) -> Iterator[Program]:
    """Programs that can be read; what else lies in a corpus is for the next resume to say."""
    for path in paths:
        try:
            yield load(path)
        except ProgramError:
            continue


def measure(programs: Sequence[Program], ours: Model, theirs: Model) -> Covered:
    """Run programs on both models; the lines that each side reached."""
    return {side: _side(programs, model) for side, model in ((REFERENCE, ours), (PATCHED, theirs))}


def _side(programs: Sequence[Program], model: Model) -> dict[str, Lines]:
    files = model_files(model)
    watch = coverage.Coverage(
        data_file=None, config_file=False, include=files, messages=False, branch=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # with no programs there is no data, which is no news
        watch.start()
        try:
            for program in programs:
                try:
                    execute(model, program)
                except HarnessError:
                    continue  # told where it was met first
        finally:
            watch.stop()
        return {file: _lines(watch, file, model.replaced) for file in files}


def _lines(watch: coverage.Coverage, file: str, replaced: Sequence[str]) -> Lines:
    _, statements, _, missing, _ = watch.analysis2(file)
    inside, gone = _bodies(Path(file), replaced)
    return {
        line: line not in missing
        for line in statements
        if line in inside and not (line in gone and line in missing)
    }


def _bodies(file: Path, replaced: Sequence[str]) -> tuple[set[int], set[int]]:
    """Lines inside functions; and those inside functions that the model puts others in place of.

    The latter are run only if the replacement calls the original, so not running them is no gap.
    """
    inside: set[int] = set()
    gone: set[int] = set()
    in_models = file.parent == Path(reference.__file__).parent
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1)
            inside.update(lines)
            if in_models and node.name in replaced:
                gone.update(lines)
    return inside, gone


def model_files(model: Model) -> list[str]:
    """Source files that a model is made of: the reference's, then those of its overlays.

    Functions that are edited copies are left out: their lines are in no file.
    """
    folder = Path(reference.__file__).parent
    own = sorted(str(path) for path in folder.glob("*.py") if path.name not in LEFT_OUT)
    overlays: list[str] = []
    for parent in reversed(model.kvm.__mro__):
        for value in vars(parent).values():
            if isinstance(value, FunctionType) and not hasattr(value, "rewritten_source"):
                file = value.__code__.co_filename
                if file not in own and file not in overlays and Path(file).is_file():
                    overlays.append(file)
    return own + overlays


def annotate(covered: Covered, programs: int, corpus: int) -> Sources:
    """Join both sides' lines with the text of the files."""
    names = list(dict.fromkeys(file for side in covered.values() for file in side))
    files = [_file(name, covered) for name in names]
    kept = tuple(file for file in files if any(share.total for share in file.shares.values()))
    shares = {
        side: Share(
            sum(sum(lines.values()) for lines in by_file.values()),
            sum(len(lines) for lines in by_file.values()),
        )
        for side, by_file in covered.items()
    }
    return Sources(kept, shares, programs, corpus)


def _file(name: str, covered: Covered) -> SourceFile:
    try:
        text = Path(name).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        text = []
    sides = {side: by_file[name] for side, by_file in covered.items() if name in by_file}
    marks = [
        "".join(_mark(covered.get(side, {}).get(name, {}), at) for side in (REFERENCE, PATCHED))
        for at in range(1, len(text) + 1)
    ]
    blocks: list[Block] = []
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or marks[at] != marks[start]:
            blocks.append(Block(start + 1, marks[start], tuple(text[start:at])))
            start = at
    shares = {side: Share(sum(lines.values()), len(lines)) for side, lines in sides.items()}
    return SourceFile("/".join(Path(name).parts[-2:]), shares, tuple(blocks))


def _mark(lines: Lines, at: int) -> str:
    if at not in lines:
        return PLAIN
    return HIT if lines[at] else MISSED
