"""Campaign directories as tests need them: made by hand, with real findings in them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

from fuzz.finding import Finding, Kind
from fuzz.folder import save
from fuzz.judge import judge
from fuzz.overlay import load_model
from fuzz.text import parse
from tests.unit import samples
from tools.campaign.layout import Layout, content_name
from tools.campaign.settings import Settings, save_settings

NOW: Final = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
STALE: Final = "69a427fe"  # the finding of samples.STALE
CORPUS: Final = (samples.STALE, samples.AGREE, samples.CHILD_EXIT)
WORKER: Final = {
    "format": 1, "worker": 0, "pid": 7, "start": 1.0, "executions": 3000, "steps": 300_000,
    "hits": 12, "lines": 90, "lines_total": 120, "pairs": 55, "windows": 3,
    "windows_entered": {"swap..srcu": {"read": 3, "fallocate": 9}},
    "seen": [["stale-spte", "gmem-only prefetched leaf", "patched-only", 11]],
    "benefit": {"leaves zapped by notifiers": [40, 2]},
}  # fmt: skip
HISTORY: Final = {
    "format": 1, "first_seen": "2026-11-24T12:03:10+00:00", "found_after": 190.5,
    "executions": 1500, "count": 4, "members": ["0" * 40],
    "seen_as": [["stale-spte", "gmem-only prefetched leaf", "patched-only"]],
    "shows_on": ["v7.2 x86-direct", "v7.3 x86-direct"],
}  # fmt: skip


@cache
def stale() -> Finding:
    """The finding that samples.STALE gives."""
    models = load_model("stock"), load_model("seed")
    return Finding.of(judge(parse(samples.STALE), *models), *models)


def another(site: str, side: str = "both", finding: Finding | None = None) -> Finding:
    """The same finding under another name."""
    finding = finding or stale()
    return replace(finding, kind=Kind(finding.kind.rule, site, side))


def make(root: Path, *findings: Finding, settings: Settings | None = None) -> Layout:
    """A campaign directory with statistics, a corpus and these findings."""
    layout = Layout(root)
    layout.make()
    save_settings(layout, settings or Settings(created="2026-11-24T12:00:00+00:00"))
    for text in CORPUS:
        (layout.corpus / content_name(text.encode())).write_text(text, encoding="utf-8")
    lines = [json.dumps(stats_line(at)) for at in range(0, 600, 10)]
    layout.stats.write_text("\n".join(lines) + "\n", encoding="utf-8")
    layout.worker(0).mkdir(parents=True)
    (layout.worker(0) / "stats.json").write_text(json.dumps(WORKER), encoding="utf-8")
    for finding in findings:
        folder = save(finding, layout.findings).parent
        (folder / "history.json").write_text(json.dumps(HISTORY), encoding="utf-8")
        (folder / "members").mkdir()
        (folder / "members" / f"{'0' * 40}.prog").write_text(samples.STALE, encoding="utf-8")
    return layout


def stats_line(second: int) -> dict[str, object]:
    """One line of stats.jsonl."""
    return {
        "run_time": second, "execs_done": second * 5, "execs_per_sec": 5.0, "corpus_count": second,
        "gmemdiff_lines": min(90, second), "total_edges": 120, "gmemdiff_pairs": second // 10,
        "gmemdiff_windows": 3, "saved_crashes": 1, "pending_total": 0, "last_update": 1.7e9,
    }  # fmt: skip
