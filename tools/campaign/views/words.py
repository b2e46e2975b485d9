"""A campaign in words: the summary at its end, what status prints, and one line while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fuzz.counted import counted
from fuzz.overlay import exists_in_c_only
from fuzz.report import benefit_text
from tools.campaign.layout import Layout
from tools.campaign.settings import Settings
from tools.campaign.views.snapshot import ENDED, Event, FindingView, Snapshot

_UNITS: Final = (("d", 86400), ("h", 3600), ("min", 60))


def duration(seconds: float) -> str:
    """``3 d 4 h``, ``5 min 7 s``, ``12 s``: the two largest units."""
    rest = max(0, round(seconds))
    parts: list[str] = []
    for name, size in _UNITS:
        if rest >= size or parts:
            parts.append(f"{rest // size} {name}")
            rest %= size
    parts.append(f"{rest} s")
    return " ".join(part for part in parts[:2] if part[0] != "0" or len(parts) == 1)


def ago(now: float, then: float) -> str:
    """How long ago something was; ``never`` for 0."""
    return f"{duration(now - then)} ago" if then else "never"


def clock_time(unix: float) -> str:
    """A time as UTC, to the second."""
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def line(s: Snapshot) -> str:
    """One line on how it goes."""
    parts = [
        f"{duration(s.session_time)}: {s.executions} executions, {s.rate:.0f}/s",
        f"corpus {s.corpus}, coverage {s.lines}/{s.lines_total} blocks {s.pairs} pairs "
        f"{s.windows} windows",
        f"findings: {_by_side(s)}",
        f"queue {s.queue}",
    ]
    if s.waiting:
        parts.append(f"waiting: {s.waiting}")
    return "; ".join(parts)


def event_line(event: Event) -> str:
    """One line on something that happened."""
    return f"{clock_time(event.time)} {event.kind}: {event.text}"


def to_json(s: Snapshot) -> dict[str, Any]:
    """A snapshot as JSON can write it; the names are those of the fields."""
    return {**asdict(s), "by_side": s.by_side(), "new_findings": len(s.new_findings)}


def what_is_run(settings: Settings) -> str:
    """The models and the profiles, in one line."""
    profiles = ", ".join(settings.profiles) or "all profiles"
    return (
        f"{settings.patched} against {settings.reference}, {profiles}, "
        f"{settings.ops_min}..{settings.ops_max} ops, seed {settings.seed}, "
        f"engine {settings.engine}"
    )


def summary(s: Snapshot, executions: int | None = None) -> list[str]:
    """What a campaign has done and found; `executions` are those of the session just ended."""
    layout = Layout(Path(s.root))
    lines = [f"campaign:   {s.root}: {what_is_run(s.settings)}"]
    if executions is not None:
        lines.append(
            f"session:    {duration(s.session_time)}, {executions} executions, "
            f"{s.rate_mean:.0f} a second on {counted(len(s.workers), 'worker')}"
        )
    lines += [
        f"fuzzed:     {duration(s.run_time)} in all, {s.executions} executions, {s.steps} steps "
        "on both sides",
        _coverage(s),
        f"hits:       {counted(s.hits, 'program')} with a broken rule or a difference, "
        f"{s.inconclusive} inconclusive",
        (benefit_text(dict(s.benefit)) or "benefit: none").replace(": ", ":    ", 1),
    ]
    if s.errors:
        lines.append(
            f"errors:     {counted(s.errors, 'program')} that failed in our own code or ended a "
            f"worker; no finding, but please report: {layout.errors}"
        )
    if s.hangs:
        lines.append(
            f"hangs:      {counted(s.hangs, 'program')} on which a worker hung: {layout.hangs}"
        )
    if s.quarantined:
        lines.append(f"quarantine: {counted(s.quarantined, 'file')} not used: {layout.quarantine}")
    return [*lines, *_findings(s), *_ahead(s)]


def _coverage(s: Snapshot) -> str:
    if exists_in_c_only(s.settings.patched):  # nothing of it is run in Python
        return f"corpus:     {counted(s.corpus, 'program')}"
    return (
        f"coverage:   {s.lines} of {s.lines_total} blocks of model code, {s.pairs} pairs of steps, "
        f"{s.windows} windows entered; {counted(s.corpus, 'program')} in the corpus"
    )


def _by_side(s: Snapshot) -> str:
    return ", ".join(f"{n} {side}" for side, n in s.by_side().items()) or "none"


def _findings(s: Snapshot) -> list[str]:
    accepted = sum(bool(f.accepted) for f in s.findings)
    tail = f" ({accepted} of them accepted)" if accepted else ""
    lines = [f"findings:   {_by_side(s)}{tail}"]
    for finding in s.findings:
        lines += _finding(finding)
    return lines


def _finding(f: FindingView) -> Sequence[str]:
    if f.broken:
        return [f"  {f.fingerprint}  cannot be read: {f.broken}"]
    first = [f"  {f.fingerprint}  seen {f.count:5}  {f.headline}"]
    if f.kernels:
        first.append(f"            {f.kernels}")
    if f.accepted:
        return [*first, f"            accepted: {f.accepted}"]
    return [*first, f"            gmemdiff run {f.path}"]


def _ahead(s: Snapshot) -> list[str]:
    """What waits, and what to do next."""
    lines = []
    if s.queue:
        wait = "waits" if s.queue == 1 else "wait"
        again = f"gmemdiff resume -w {s.root} or gmemdiff triage -w {s.root}"
        lines.append(f"queue:      {counted(s.queue, 'program')} {wait} for triage: {again}")
    if s.state == ENDED:
        lines.append(f"more:       gmemdiff resume -w {s.root}; gmemdiff report -w {s.root}")
    return lines
