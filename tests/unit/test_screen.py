"""The live screen: what it says, and that it fits."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tools.campaign.settings import Settings
from tools.campaign.views.lines import LinesView
from tools.campaign.views.screen import HEIGHT_MIN, Picture, Screen, drawn, view_for
from tools.campaign.views.snapshot import FOUND, RUNNING, Event, FindingView, Snapshot, WorkerView


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def finding(side: str, accepted: str = "") -> FindingView:
    """A finding of one side."""
    return FindingView(
        "0" * 8, f"INVARIANT {side} warn at x", "warn", "x", side, 1, "", 0, "p", accepted
    )


def snapshot(workers: int = 2, **changes: object) -> Snapshot:
    """A campaign in full swing."""
    values: dict[str, object] = {
        "state": RUNNING, "now": 10_000.0, "session_time": 4321.0, "time_max": 7200.0,
        "executions": 17_400_123, "rate": 3063.4, "rate_mean": 2990.0, "corpus": 978, "hits": 41,
        "lines": 2300, "lines_total": 2588, "pairs": 3800, "windows": 90, "queue": 2,
        "windows_entered": {"swap..srcu": {"read": 3}, "poisoning": {"read": 0}},
        "benefit": {"leaves zapped by notifiers": (1200, 3)}, "hangs": 1,
        "findings": (finding("patched-only"), finding("both", "known"), finding("both")),
        "last_cover": 9988.0, "last_finding": 9000.0,
        "workers": tuple(
            WorkerView(n, 7, "running", 1_740_012, 1530.2, 123.4, 0) for n in range(workers)
        ),
    }  # fmt: skip
    return Snapshot("campaign", Settings(), **{**values, **changes})  # type: ignore[arg-type]


def text(shown: Snapshot, width: int = 80, height: int = 24, events: int = 0) -> list[str]:
    """The lines of a screen."""
    console = Console(width=width, height=height, file=io.StringIO(), legacy_windows=False)
    told = [Event(1.7e9 + at, FOUND, f"event{at}") for at in range(events)]
    with console.capture() as page:
        console.print(drawn(shown, told, width, height), end="")
    return page.get().rstrip("\n").split("\n")


def test_the_screen_tells_how_it_goes() -> None:
    page = "\n".join(text(snapshot()))
    for told in (
        "seed against stock, all profiles",
        "running  1 h 12 min of 2 h",
        "17,400,123",
        "3,063/s, mean 2,990/s",
        "88.9 %",
        "1 of 30; 90 with op",
        "last new   12 s ago",
        "last new       16 min 40 s ago",
        "patched-only   1 ",
        "both           2, 1 accepted",
        "hangs 1",
        "leaves zapped by notifiers 1,200 → 3",
    ):
        assert told in page


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("height", [24, 30, 60])
@pytest.mark.parametrize("workers", [0, 1, 7, 64])
def test_the_screen_is_as_large_as_the_terminal(width: int, height: int, workers: int) -> None:
    lines = text(snapshot(workers), width, height, events=100)
    assert len(lines) == height
    assert max(len(line) for line in lines) <= width


def test_a_smaller_terminal_gets_the_first_lines_of_the_smallest_screen() -> None:
    assert len(text(snapshot(), 60, 10)) <= HEIGHT_MIN


def test_more_room_shows_more_workers_and_says_how_many_are_left_out() -> None:
    assert "and 59 more" in "\n".join(text(snapshot(64)))
    assert "and 23 more" in "\n".join(text(snapshot(64), height=60))
    page = "\n".join(text(snapshot(6)))
    assert "more" not in page
    assert page.count("1,740,012") == 6


def test_the_newest_events_are_shown() -> None:
    page = "\n".join(text(snapshot(), events=50))
    assert "event49" in page
    assert "event10 " not in page


def test_a_full_disk_stands_in_the_title() -> None:
    assert "waiting: disk full" in text(snapshot(waiting="disk full"))[0]


def test_an_empty_campaign_has_a_screen() -> None:
    page = text(Snapshot("campaign", Settings()))
    assert len(page) == HEIGHT_MIN
    assert sum("never" in line for line in page) == 2


def test_before_the_first_snapshot_the_screen_says_so() -> None:
    console = Console(width=80, file=io.StringIO())
    with console.capture() as page:
        console.print(Picture())
    assert page.get().strip() == "gmemdiff: starting"


@pytest.mark.parametrize(
    "environment", [{"TERM": "dumb"}, {}, {"TERM": "xterm", "CI": "true"}, {"TERM": "unknown"}]
)
def test_where_no_screen_can_be_shown_there_are_plain_lines(environment: dict[str, str]) -> None:
    assert isinstance(view_for(Terminal(), environment), LinesView)


def test_a_pipe_gets_plain_lines() -> None:
    assert isinstance(view_for(io.StringIO(), {"TERM": "xterm"}), LinesView)


def test_the_terminal_is_given_back_at_the_end() -> None:
    stream = Terminal()
    view = view_for(stream, {"TERM": "xterm"})
    assert isinstance(view, Screen)
    try:
        view.show(snapshot())
    finally:
        view.close()
    assert stream.getvalue().count("\x1b[?1049h") == stream.getvalue().count("\x1b[?1049l") == 1
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")
