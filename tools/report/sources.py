"""Which lines of the models the corpus reaches, on each side, with the text around them.

Programs of the corpus are run once more with the probes that campaigns use (fuzz/probes.py), so
a report needs nothing of the workers, also not that they ended well.  Lines count that stand in
the models' functions; a function that the patched model replaces counts where its replacement is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from fuzz.execution import HarnessError
from fuzz.overlay import Model
from fuzz.probes import Probes
from fuzz.search import execute
from fuzz.text import ProgramError, load
from fuzz.timeline import PATCHED, REFERENCE
from fuzz.vocabulary import Program

PROGRAMS_MAX: Final = 400  # a report should take seconds
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
    sides = ((REFERENCE, ours), (PATCHED, theirs))
    return {side: {} if model.c_only else _side(programs, model) for side, model in sides}


def _side(programs: Sequence[Program], model: Model) -> dict[str, Lines]:
    probes = Probes(model)
    for program in programs:
        try:
            execute(probes.model, program)
        except HarnessError:
            continue  # told where it was met first
    files: dict[str, dict[int, bool]] = {}
    for number, place in enumerate(probes.places):
        hit = bool(probes.hits[probes.first + number])
        lines = files.setdefault(place.filename, {})
        for line in place.lines:
            lines[line] = lines.get(line, False) or hit
    return {name: files[name] for name in sorted(files)}


def annotate(covered: Covered, programs: int, corpus: int) -> Sources:
    """Join both sides' lines with the text of the files."""
    names = list(dict.fromkeys(file for side in covered.values() for file in side))
    names.sort(key=lambda name: (Path(name).parent.name != "reference", name))
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
