"""Torn lines and damaged JSON among the records of a campaign."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tools.campaign.layout import Layout
from tools.campaign.quarantine import into_quarantine


def repair_records(layout: Layout) -> Iterator[str]:
    """Statistics, events, known kinds and totals."""
    for path in (layout.stats, layout.events):
        yield from _lines(path)
    for path, effect in (
        (layout.known, "triage learns again what it knows"),
        (layout.totals, "counts of earlier sessions start at 0"),
    ):
        yield from _json(layout, path, effect)


def _lines(path: Path) -> Iterator[str]:
    """A last line without its end was being written; it is cut off."""
    try:
        with path.open("r+b") as file:
            data = file.read()
            whole = data.rfind(b"\n") + 1
            if whole == len(data):
                return
            file.truncate(whole)
    except FileNotFoundError:
        return
    yield f"{path.name}: the last line was torn; cut off ({len(data) - whole} bytes)"


def _json(layout: Layout, path: Path, effect: str) -> Iterator[str]:
    if not path.exists():
        return
    with suppress(OSError, ValueError):
        if isinstance(json.loads(path.read_text(encoding="utf-8")), dict):
            return
    moved = into_quarantine(layout, path, "is no JSON object")
    yield f"{path.name}: is no JSON object; moved to {moved.relative_to(layout.root)}; {effect}"
