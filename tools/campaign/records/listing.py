"""The findings of a campaign as lists show them, with how often each was seen.

A folder that cannot be read is listed as broken and hides nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from fuzz.folder import DATA, PROGRAM
from tools.campaign.layout import Layout
from tools.campaign.records.history import (
    HISTORY,
    change_history,
    has_history,
    read_history,
    seen_as,
)
from tools.campaign.records.totals import SeenAs
from tools.campaign.views.snapshot import FindingView, side_rank
from tools.lab import confirmation

Accepted = Callable[[str], str]  # fingerprint -> the reason why it is accepted, or nothing


def nothing_accepted(_fingerprint: str) -> str:
    """No finding is accepted."""
    return ""


class Listing:
    """Reads the folders of findings, and each only again when it has changed."""

    def __init__(self, layout: Layout, accepted: Accepted = nothing_accepted) -> None:
        self.layout = layout
        self.accepted = accepted
        self._known: dict[str, tuple[tuple[int, ...], FindingView, frozenset[SeenAs]]] = {}

    def read(self, seen: Mapping[SeenAs, int]) -> tuple[FindingView, ...]:
        """All findings, those against the patch first; `seen` is what workers counted."""
        try:
            folders = [path for path in self.layout.findings.iterdir() if path.name[0] != "."]
        except OSError:
            folders = []
        found = [self._one(folder, seen) for folder in folders]
        return tuple(sorted(found, key=_rank))

    def _one(self, folder: Path, seen: Mapping[SeenAs, int]) -> FindingView:
        stamp = tuple(_stamp(folder / name) for name in (DATA, HISTORY, confirmation.FILE))
        known = self._known.get(folder.name)
        if known is None or known[0] != stamp:
            view, kinds = read_finding(folder)
            view = replace(view, accepted=self.accepted(view.fingerprint))
            known = self._known[folder.name] = (stamp, view, kinds)
        _, view, kinds = known
        counted = sum(seen.get(kind, 0) for kind in kinds)
        return replace(view, count=max(view.count, counted))


def _rank(view: FindingView) -> tuple[int, str]:
    return side_rank(view.side), view.fingerprint


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def read_finding(folder: Path) -> tuple[FindingView, frozenset[SeenAs]]:
    """One finding, and the kinds of the quick look that it was seen as."""
    try:
        data = json.loads((folder / DATA).read_text(encoding="utf-8"))
        rule, site, side = str(data["rule"]), str(data["site"]), str(data["side"])
        headline = f"{data['verdict']} {side} {rule} at {site}"
        seen = int(data["counts"]["seen"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        view = FindingView(folder.name, "", "", "", "", 0, "", 0.0, "", broken=repr(error))
        return view, frozenset()
    told = confirmation.load(folder, str(data.get("program")))
    history = read_history(folder)
    view = FindingView(
        fingerprint=folder.name,
        headline=headline,
        rule=rule,
        site=site,
        side=side,
        count=max(seen, history["count"], len(history["members"])),
        first_seen=history["first_seen"],
        found_after=float(history["found_after"]),
        path=str(folder / PROGRAM),
        kernels=told.summary if told is not None else "",
    )
    return view, frozenset(seen_as(history))


def keep_counts(layout: Layout, seen: Mapping[SeenAs, int]) -> None:
    """Write how often each finding was seen into its history.json.  Raises OSError."""
    for view in Listing(layout).read(seen):
        folder = layout.findings / view.fingerprint
        if not view.broken and has_history(folder):
            change_history(folder, partial(dict.update, count=view.count))
