"""A running campaign as a live screen.

Everything fits 80 columns by 24 lines; more room shows more workers and more of what happened.
Rich redraws it four times a second, so a resized terminal is right again at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TextIO

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fuzz.judge import PATCHED_ONLY, UNSETTLED
from fuzz.windows import WINDOWS
from tools.campaign.views import snapshot as shown
from tools.campaign.views.lines import LinesView
from tools.campaign.views.snapshot import SIDES, Event, Snapshot, View
from tools.campaign.views.words import ago, duration

REFRESHES: Final = 4  # a second
EVENTS_KEPT: Final = 100
HEIGHT_MIN: Final = 24
WORKERS_MIN: Final = 5  # rows; more where there is room
FIXED: Final = 15  # lines of everything but the rows of workers and of events
FOOT: Final = "Ctrl-C ends in good order, twice at once; or gmemdiff stop from elsewhere"
SIDE_STYLES: Final[Mapping[str, str]] = {PATCHED_ONLY: "bold red", UNSETTLED: "yellow"}
STATE_STYLES: Final[Mapping[str, str]] = {
    shown.RUNNING: "bold green",
    shown.STOPPING: "bold yellow",
    shown.ENDED: "bold",
}
EVENT_STYLES: Final[Mapping[str, str]] = {
    shown.FOUND: "bold red",
    shown.WORKER_DIED: "yellow",
    shown.WORKER_HUNG: "yellow",
    shown.TRIAGER_DIED: "yellow",
    shown.GAVE_UP: "red",
    shown.DISK_FULL: "red",
    shown.HOOK_FAILED: "yellow",
}


def view_for(stream: TextIO, environment: Mapping[str, str]) -> View:
    """A live screen on a terminal that can show one, plain lines everywhere else."""
    able = stream.isatty() and environment.get("TERM", "dumb") not in ("dumb", "unknown")
    if able and not environment.get("CI"):
        return Screen(Console(file=stream))
    return LinesView(stream)


class Screen:
    """Shows the newest Snapshot on the terminal's other screen, which vanishes at the end."""

    def __init__(self, console: Console) -> None:
        self.picture = Picture()
        self.live = Live(
            self.picture,
            console=console,
            screen=True,
            refresh_per_second=REFRESHES,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self.live.start()

    def show(self, snapshot: Snapshot) -> None:
        """Keep the snapshot; the next refresh draws it."""
        self.picture.snapshot = snapshot
        self.picture.events.extend(snapshot.events)

    def close(self) -> None:
        """Give the terminal back."""
        self.live.stop()


@dataclass(slots=True)
class Picture:
    """What is drawn: the newest snapshot, and the last things that happened."""

    snapshot: Snapshot | None = None
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Called by rich with the room there is now."""
        if self.snapshot is None:
            yield Text("gmemdiff: starting")
        else:
            yield drawn(self.snapshot, list(self.events), console.width, console.height)


def drawn(s: Snapshot, events: Iterable[Event], width: int, height: int) -> RenderableType:
    """The whole screen for so much room."""
    spare = max(0, max(height, HEIGHT_MIN) - HEIGHT_MIN)
    rows = WORKERS_MIN + min(spare, max(0, len(s.workers) - WORKERS_MIN))
    left, lines = width // 2, max(1, height - FIXED - rows)
    return Group(
        _title(s),
        _side_by_side(_box("progress", _progress(s), 4), _box("coverage", _coverage(s), 4), left),
        _side_by_side(
            _box("findings", _findings(s), rows + 2),
            _box("workers", _workers(s, rows), rows + 2),
            left,
        ),
        _benefit(s),
        _box("latest", _latest(events, lines), lines),
        Text(FOOT, "dim", no_wrap=True, overflow="ellipsis"),
    )


def _side_by_side(one: Panel, other: Panel, left: int) -> Table:
    table = Table.grid(expand=True)
    table.add_column(width=left)
    table.add_column(ratio=1)
    table.add_row(one, other)
    return table


def _box(title: str, body: RenderableType, lines: int) -> Panel:
    return Panel(
        body, title=title, title_align="left", height=lines + 2, padding=(0, 1), box=box.ROUNDED,
        border_style="dim",
    )  # fmt: skip


def _grid(rows: Iterable[tuple[str, RenderableType]], names: int = 10) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(style="dim", width=names, no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for name, value in rows:
        table.add_row(name, value)
    return table


def _title(s: Snapshot) -> Table:
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True)
    settings = s.settings
    profiles = ", ".join(settings.profiles) or "all profiles"
    name = Text.assemble(
        ("gmemdiff ", "bold"), f"{settings.patched} against {settings.reference}, {profiles}"
    )
    state = Text(s.state, STATE_STYLES.get(s.state, ""))
    if s.waiting:
        state = Text(f"waiting: {s.waiting}", "bold red")
    limit = f" of {duration(s.time_max)}" if s.time_max is not None else ""
    state.append(f"  {duration(s.session_time)}{limit}", "not bold default")
    table.add_row(name, state)
    return table


def _progress(s: Snapshot) -> Table:
    return _grid((
        ("executions", f"{s.executions:,}"),
        ("rate", f"{s.rate:,.0f}/s, mean {s.rate_mean:,.0f}/s"),
        ("corpus", f"{s.corpus:,} programs; {s.hits:,} hits"),
        ("queue", f"{s.queue:,} programs{_triager(s)}"),
    ))  # fmt: skip


def _triager(s: Snapshot) -> str:
    return f", {s.triager}" if s.triager not in ("", "running") else ""


def _coverage(s: Snapshot) -> Table:
    bar = Table.grid(padding=(0, 1), expand=True)
    bar.add_column(width=7)
    bar.add_column(ratio=1)
    share = f"{100 * s.lines / s.lines_total:.1f} %" if s.lines_total else "-"
    bar.add_row(share, ProgressBar(total=s.lines_total or 1, completed=s.lines))
    return _grid((
        ("model code", bar),
        ("step pairs", f"{s.pairs:,}"),
        ("windows", f"{_entered(s)} of {len(WINDOWS)}; {s.windows:,} with op"),
        ("last new", ago(s.now, s.last_cover)),
    ))  # fmt: skip


def _entered(s: Snapshot) -> int:
    return sum(1 for ops in s.windows_entered.values() if any(ops.values()))


def _findings(s: Snapshot) -> Table:
    newest = ago(s.now, s.last_finding)
    return _grid([*_sides(s), ("last new", newest), ("trouble", _trouble(s))], names=14)


def _sides(s: Snapshot) -> Iterator[tuple[str, RenderableType]]:
    counts = s.by_side()
    for side in (*SIDES, *(name for name in counts if name not in SIDES)):
        count = counts.get(side, 0)
        accepted = sum(f.side == side and bool(f.accepted) for f in s.findings)
        text = Text(str(count), SIDE_STYLES.get(side, "bold") if count > accepted else "dim")
        if accepted:
            text.append(f", {accepted} accepted", "dim")
        yield side, text


def _trouble(s: Snapshot) -> Text:
    """What is no finding and still needs somebody's eye."""
    counts = (
        ("hangs", s.hangs), ("our errors", s.errors), ("quarantined", s.quarantined),
        ("unreadable", sum(bool(f.broken) for f in s.findings)),
    )  # fmt: skip
    told = ", ".join(f"{name} {count}" for name, count in counts if count)
    return Text(told, "yellow") if told else Text("none", "dim")


def _workers(s: Snapshot, rows: int) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    for _ in range(4):
        table.add_column(justify="right", no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_row(*(Text(name, "dim") for name in ("#", "executions", "/s", "MB", "state")))
    fits = rows + 1 if len(s.workers) <= rows + 1 else rows
    for worker in s.workers[:fits]:
        state = worker.state + (f", restarts {worker.restarts}" if worker.restarts else "")
        table.add_row(
            str(worker.number),
            f"{worker.executions:,}",
            f"{worker.rate:,.0f}",
            f"{worker.rss_mb:.0f}",
            Text(state, "" if worker.state == "running" else "yellow"),
        )
    if len(s.workers) > fits:
        table.add_row("", Text(f"and {len(s.workers) - fits} more", "dim"), "", "", "")
    return table


def _benefit(s: Snapshot) -> RenderableType:
    """What the patch gains, as far as it goes on a line."""
    pairs = [f"{name} {old:,} → {new:,}" for name, (old, new) in sorted(s.benefit.items())]
    text = Text.assemble((" benefit of the patch: ", "dim"), ", ".join(pairs) or "none so far")
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _latest(events: Iterable[Event], lines: int) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for event in list(events)[-lines:]:
        at = datetime.fromtimestamp(event.time, UTC).astimezone().strftime("%H:%M:%S")
        told = Text(event.kind, EVENT_STYLES.get(event.kind, ""))
        table.add_row(at, told.append(f" {event.text}", "default not bold"))
    return table
