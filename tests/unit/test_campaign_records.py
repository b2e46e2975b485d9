"""Events, statistics and the index over them: the files are the truth."""

from __future__ import annotations

import errno
import json
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tools.campaign.layout import Layout
from tools.campaign.records.events import announced, append_line, last_line, log_event, read_events
from tools.campaign.records.recorder import Recorder, line_every
from tools.campaign.records.stats import stats_line
from tools.campaign.records.store import Store, course, recent_events
from tools.campaign.settings import Settings
from tools.campaign.supervise.disk import BALLAST, Disk
from tools.campaign.views.snapshot import (
    DISK_FREE,
    DISK_FULL,
    ENDED,
    FOUND,
    STARTED,
    Event,
    Snapshot,
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path)
    made.make()
    return made


def no_room() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def at(time: float) -> Snapshot:
    """A campaign at some time."""
    return Snapshot("here", Settings(), now=time, session_time=time, executions=int(time))


def fill(layout: Layout) -> None:
    """Three lines of statistics and two events."""
    for time in (1.0, 2.0, 3.0):
        append_line(layout.stats, json.dumps(stats_line(at(time), 1, "")))
    log_event(layout.events, Event(1.0, STARTED, "one worker"))
    log_event(layout.events, Event(2.0, FOUND, "69a427fe INVARIANT patched-only x at y"))


def test_events_read_back_and_say_what_was_announced(layout: Layout) -> None:
    fill(layout)
    with layout.events.open("a") as file:
        file.write('{"time": "noon"}\nnonsense\n')
    assert [event.kind for event in read_events(layout.events)] == [STARTED, FOUND]
    assert announced(layout.events) == {"69a427fe"}


def test_the_last_line_is_the_last_whole_one(layout: Layout) -> None:
    assert last_line(layout.stats) == {}
    fill(layout)
    with layout.stats.open("a") as file:
        file.write('{"run_time": 9')
    assert last_line(layout.stats)["execs_done"] == 3


def test_a_line_that_does_not_fit_leaves_no_torn_one(layout: Layout) -> None:
    fill(layout)
    before = layout.stats.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 5, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            append_line(layout.stats, '{"run_time": 4}')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert layout.stats.read_bytes() == before


@pytest.mark.parametrize("damage", ["missing", "garbage", "empty", "other version", "truncated"])
def test_an_index_that_is_lost_is_made_again_from_the_files(layout: Layout, damage: str) -> None:
    fill(layout)
    first = Store(layout)
    first.sync([], {})
    first.close()
    path = layout.database
    match damage:
        case "missing":
            path.unlink()
        case "garbage":
            path.write_bytes(b"not a database" * 100)
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(path.read_bytes()[:5000])
        case _:
            with sqlite3.connect(path) as connection:
                connection.execute("PRAGMA user_version=99")
    store = Store(layout)
    assert "made again from the files" in store.note
    store.sync([], {("r", "s", "both"): 3})
    store.close()
    assert not store.error
    assert [line["execs_done"] for line in course(layout, 2.0)] == [2, 3]
    assert [event.kind for event in recent_events(layout, 1)] == [FOUND]


def test_an_index_in_order_is_only_brought_up_to_date(layout: Layout) -> None:
    Store(layout).close()
    fill(layout)
    store = Store(layout)
    store.sync([], {})
    store.sync([], {})
    store.close()
    assert (store.note, store.error) == ("", "")
    assert len(course(layout, 0)) == 3


def test_without_an_index_the_files_answer(layout: Layout) -> None:
    fill(layout)
    assert [line["execs_done"] for line in course(layout, 2.0)] == [2, 3]
    assert len(recent_events(layout, 5)) == 2


def test_an_index_that_cannot_be_made_stops_nothing(layout: Layout) -> None:
    layout.database.mkdir()
    store = Store(layout)
    store.add(stats_line(at(1.0), 1, ""), [], [], {})
    store.close()
    assert store.error == "it cannot be opened"


def test_lines_of_statistics_become_rarer() -> None:
    assert line_every(0) == line_every(600) == 1
    assert line_every(6000) == 10
    assert line_every(1e9) == 60


def test_what_cannot_be_written_on_a_full_disk_is_written_later(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    disk = Disk(layout, 0.0, lambda kind, text: told.append(kind))
    recorder = Recorder(layout, disk, "")
    monkeypatch.setattr("tools.campaign.records.recorder.log_event", lambda *_: no_room())
    monkeypatch.setattr("tools.campaign.records.recorder.append_line", lambda *_: no_room())
    recorder.record(at(1.0), {})
    recorder.note(Event(1.0, STARTED, "x"))
    recorder.record(at(2.0), {})
    monkeypatch.undo()
    last = Snapshot("here", Settings(), ENDED, now=3.0, session_time=3.0)
    recorder.record(last, {})
    recorder.close(last, {})
    assert told == [DISK_FULL]
    assert [event.text for event in read_events(layout.events)] == ["x"]
    assert len(course(layout, 0)) == 3  # the index had room


def test_the_ballast_goes_first_and_comes_back_when_there_is_room(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    disk = Disk(layout, 10.0, lambda kind, text: told.append(kind))
    disk.tick(0.0)
    assert layout.ballast.stat().st_size == BALLAST
    assert layout.ballast.stat().st_blocks * 512 >= BALLAST  # it holds room, not a hole
    assert not disk.guard(no_room)
    assert not disk.guard(no_room)
    assert not layout.ballast.exists()
    assert told == [DISK_FULL]
    with monkeypatch.context() as patch:
        patch.setattr("os.posix_fallocate", lambda *_: no_room())
        disk.tick(20.0)
    assert disk.full
    assert [path.name for path in layout.root.iterdir() if path.is_file()] == []
    disk.tick(21.0)
    assert disk.full  # not so soon
    disk.tick(31.0)
    assert not disk.full
    assert told == [DISK_FULL, DISK_FREE]
    assert disk.guard(lambda: None)


def test_a_full_log_never_stops_the_process_that_writes_it(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from tools.campaign.child.lossy import lossy_output\n"
        "lossy_output()\n"
        "print('x' * 100_000)\n"
        "print('y', file=sys.stderr, flush=True)\n"
        "open(sys.argv[1], 'w').write('done')\n"
    )
    with open("/dev/full", "w") as full:
        status = subprocess.call(
            [sys.executable, "-c", code, str(tmp_path / "end")], stdout=full, stderr=full
        )
    assert status == 0
    assert (tmp_path / "end").read_text() == "done"
