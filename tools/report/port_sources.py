"""The same for the C port: which of its lines the corpus reaches, on each side.

The port is built once more, with lines counted (fuzz/port/lines.py), which takes some seconds: of
the patched side, only what differs.  A report of a campaign that ran in Python does without.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fuzz.port.build import MODEL_SOURCES, NOT_COVERED, BuildError, sources_of
from fuzz.port.compiler import NoCompilerError
from fuzz.port.lines import Counts, NoCountsError, line_counts
from fuzz.port.patching import Patched, PatchError
from fuzz.timeline import PATCHED, REFERENCE
from tools.campaign.settings import Settings, model_path
from tools.report.sources import Covered, Lines


def measure_port(root: Path, settings: Settings, programs: Sequence[Path], folder: Path) -> Covered:
    """Run programs on both ports; empty when lines cannot be counted here.

    folder: where the text of files that the patch changes is put.
    """
    names = {REFERENCE: settings.reference, PATCHED: settings.patched}
    try:
        sides = {side: sources_of(model_path(root, name)) for side, name in names.items()}
        counts = line_counts([patched.sources for patched in sides.values()], programs)
    except (NoCountsError, NoCompilerError, BuildError, PatchError):
        return {}
    return {
        side: _kernels_files(patched, counted, folder)
        for (side, patched), counted in zip(sides.items(), counts, strict=True)
    }


def _kernels_files(patched: Patched, counts: Counts, folder: Path) -> dict[str, Lines]:
    """Lines of one side, by path; without files that stand around the kernel's code."""
    files: dict[str, Lines] = {}
    for file, lines in sorted(counts.items()):
        if file in NOT_COVERED:
            continue
        path = MODEL_SOURCES / file
        if file in patched.changed:  # its lines have other numbers
            path = folder / "patched" / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(patched.sources[file], encoding="utf-8")
        files[str(path)] = {number: count > 0 for number, count in lines.items()}
    return files
