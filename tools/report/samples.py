"""Statistics over time, thinned: a page needs a few hundred points, a campaign writes millions.

A long file is not read but probed: at evenly spaced places, the next whole line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

POINTS: Final = 240
WHOLE_MAX: Final = 4 << 20  # bytes; a longer file is probed
LINE_MAX: Final = 1 << 20  # bytes; a longer line is no line of ours


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of stats.jsonl, with what curves and summaries need.  Times in seconds."""

    run_time: float = 0.0
    executions: int = 0
    rate: float = 0.0  # executions a second
    corpus: int = 0
    lines: int = 0
    lines_total: int = 0
    pairs: int = 0
    windows: int = 0
    findings: int = 0
    queue: int = 0
    peak_rss_mb: float = 0.0
    last_update: float = 0.0


_NAMES: Final = {
    "run_time": "run_time",
    "executions": "execs_done",
    "rate": "execs_per_sec",
    "corpus": "corpus_count",
    "lines": "gmemdiff_lines",
    "lines_total": "total_edges",
    "pairs": "gmemdiff_pairs",
    "windows": "gmemdiff_windows",
    "findings": "saved_crashes",
    "queue": "pending_total",
    "peak_rss_mb": "peak_rss_mb",
    "last_update": "last_update",
}


def read_samples(path: Path, points: int = POINTS) -> tuple[Sample, ...]:
    """At most `points` samples from the start to the end; lines that are torn are passed over."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            if size <= WHOLE_MAX:
                lines = file.read(WHOLE_MAX).splitlines()
            else:
                lines = list(_probes(file, size, points))
    except OSError:
        return ()
    found = [sample for line in lines if (sample := _sample(line)) is not None]
    return tuple(_thinned(found, points))


def _probes(file: Any, size: int, points: int) -> Iterator[bytes]:
    """Whole lines at evenly spaced places, and the last one."""
    yield file.readline(LINE_MAX)
    for at in range(1, points):
        file.seek(size * at // points)
        file.readline(LINE_MAX)  # what is left of the line that we fell into
        yield file.readline(LINE_MAX)
    file.seek(max(0, size - LINE_MAX))
    tail = file.read(LINE_MAX).splitlines()
    yield from tail[-2:]  # the very last may be torn


def _sample(line: bytes) -> Sample | None:
    try:
        data = json.loads(line)
        return Sample(**{
            name: type(getattr(_ZERO, name))(data.get(key) or 0) for name, key in _NAMES.items()
        })  # fmt: skip
    except (ValueError, TypeError, AttributeError, OverflowError):
        return None


_ZERO: Final = Sample()


def _thinned(samples: list[Sample], points: int) -> list[Sample]:
    """Evenly spaced ones, the first and the last among them."""
    if len(samples) <= points:
        return samples
    last = len(samples) - 1
    return [samples[round(at * last / (points - 1))] for at in range(points)]
