"""A smaller corpus that covers the same: chosen greedily, and swapped in so that a kill is safe.

The new corpus is made beside the old one; then the old one is renamed away, the new one takes
its place, and the old one is deleted.  Killed in between, the next repair finds either both or
the old one, and nothing is lost.
"""

from __future__ import annotations

import heapq
import os
import shutil
from collections.abc import Callable, Hashable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from fuzz.execution import HarnessError
from fuzz.harness import Harness
from fuzz.overlay import Model
from fuzz.probes import PROBES_MAX
from fuzz.text import ProgramError, parse
from fuzz.vocabulary import Program
from tools.campaign.layout import YOUNG, Layout

Features = Callable[[Program], Set[Hashable]]  # what running a program covers
Progress = Callable[[int, int], None]  # programs done, of so many


@dataclass(frozen=True, slots=True)
class Result:
    """What minimising did."""

    before: int
    after: int
    features: int
    unread: int  # files that cannot be run; kept, for the next repair or for us to look at


def features_of(reference: Model, patched: Model) -> Features:
    """What a worker takes for coverage: lines of both models, and the features of the run."""
    harness = Harness(reference, patched)
    lines = 2 * PROBES_MAX

    def run(program: Program) -> Set[Hashable]:
        harness.counters[:] = bytes(len(harness.counters))
        look = harness.run(program)
        covered = {number for number, hits in enumerate(harness.counters[:lines]) if hits}
        return covered | look.features

    return run


def smallest_cover(
    sizes: Mapping[str, int], covers: Mapping[str, Set[Hashable]]
) -> tuple[list[str], int]:
    """Names that together cover what all do, and how many features that are.

    Greedy: whoever adds most comes first, of equals the smallest, then the first by name.  What
    a program adds only shrinks as others are taken, so an old count is a bound and most need not
    be counted again.
    """
    left: set[Hashable] = set().union(*covers.values())
    total = len(left)
    heap = [(-len(covers[name]), sizes[name], name) for name in sorted(covers)]
    heapq.heapify(heap)
    chosen: list[str] = []
    while left:
        _, size, name = heapq.heappop(heap)
        adds = len(covers[name] & left)
        if heap and (-adds, size, name) > heap[0]:
            if adds:
                heapq.heappush(heap, (-adds, size, name))
            continue
        chosen.append(name)
        left -= covers[name]
    return sorted(chosen), total


def minimise(layout: Layout, features: Features, progress: Progress) -> Result:
    """Replace the corpus by the smallest one found.  Raises OSError; the caller holds the lock."""
    paths = {path.name: path for path in sorted(layout.corpus.iterdir()) if path.is_file()}
    sizes: dict[str, int] = {}
    covers: dict[str, Set[Hashable]] = {}
    unread: list[str] = []
    for number, (name, path) in enumerate(paths.items(), start=1):
        progress(number, len(paths))
        try:
            covers[name] = features(parse(path.read_bytes().decode("utf-8"), name))
        except (UnicodeDecodeError, ProgramError, HarnessError):
            unread.append(name)
        else:
            sizes[name] = path.stat().st_size
    chosen, total = smallest_cover(sizes, covers)
    if len(chosen) < len(covers):
        swap(layout, [paths[name] for name in sorted([*chosen, *unread])])
    return Result(len(paths), len(chosen) + len(unread), total, len(unread))


def swap(layout: Layout, keep: list[Path]) -> None:
    """Let these files be the whole corpus."""
    young = layout.root / f"{YOUNG}corpus"
    if young.exists():
        shutil.rmtree(young)
    young.mkdir()
    for path in keep:
        _link(path, young / path.name)
    _sync(young)
    layout.corpus.rename(layout.corpus_old)
    young.rename(layout.corpus)
    _sync(layout.root)
    shutil.rmtree(layout.corpus_old)


def _link(source: Path, target: Path) -> None:
    """The same file under another name; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
