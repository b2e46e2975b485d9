"""The report as plain data, for scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.report.gather import Campaign, Entry
from tools.report.junit import properties
from tools.report.sources import Sources
from tools.report.windows import windows


def to_json(
    campaign: Campaign, known_windows: Mapping[str, str], sources: Sources | None
) -> dict[str, Any]:
    """Counts, findings, windows and coverage; programs and timelines are in findings/."""
    rows = windows(campaign.totals.windows_entered, known_windows)
    shares = sources.shares if sources is not None else {}
    return {
        "format": 1,
        "root": str(campaign.layout.root),
        "counts": properties(campaign),
        "findings": [_entry(entry) for entry in campaign.entries],
        "accepted_file": campaign.accepted.path,
        "remarks": list(campaign.remarks),
        "problems": list(campaign.problems),
        "windows": {row.name: dict(row.entered) for row in rows},
        "windows_never_entered": [row.name for row in rows if not row.entered],
        "source_lines": {side: [share.hit, share.total] for side, share in shares.items()},
        "benefit": {name: list(pair) for name, pair in sorted(campaign.totals.benefit.items())},
    }


def _entry(entry: Entry) -> dict[str, Any]:
    finding = entry.finding
    if finding is None:
        return {"fingerprint": entry.fingerprint, "broken": entry.broken}
    return {
        "fingerprint": finding.fingerprint,
        "headline": finding.headline,
        "rule": finding.kind.rule,
        "site": finding.kind.site,
        "side": finding.kind.side,
        "profile": str(finding.program.profile),
        "count": entry.count,
        "first_seen": entry.history.first_seen,
        "found_after": entry.history.found_after,
        "shows_on": list(entry.history.shows_on),
        "accepted": entry.accepted.reason if entry.accepted is not None else None,
        "folder": str(entry.folder),
        "kernels": entry.confirmation.summary if entry.confirmation is not None else None,
    }
