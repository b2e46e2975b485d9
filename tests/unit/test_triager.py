"""The triage process, piece by piece: what it takes first, what it keeps, what it moves away."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from fuzz.execution import HarnessError
from fuzz.finding import Kind
from fuzz.folder import load
from fuzz.judge import BOTH, PATCHED_ONLY
from fuzz.overlay import load_model
from fuzz.text import format_program, parse
from fuzz.triage import Memory, Triage
from fuzz.vocabulary import Program
from tests.unit import samples
from tools.campaign.layout import Layout, queue_name, write_whole
from tools.campaign.quarantine import WHY
from tools.campaign.records.history import Moment, change_history, moment, read_history
from tools.campaign.settings import Settings
from tools.campaign.triage import shelf, triager
from tools.campaign.triage.rejudge import rejudge
from tools.campaign.triage.triager import Triager
from tools.campaign.triage.watchdog import HungError

STALE_SPTE = Kind("stale-spte", "gmem-only prefetched leaf", PATCHED_ONLY)
GMEM_BACKING = Kind("gmem-backing", "prefetched leaf", BOTH)
SETTINGS = Settings(budget=500)
STALE = parse(samples.STALE)


@pytest.fixture(name="layout")
def _layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.make()
    return layout


def test_a_queued_program_becomes_a_finding_with_its_history(layout: Layout) -> None:
    write_whole(layout.stats, '{"run_time": 12.5, "execs_done": 4000}\n{"run_ti')
    path = shelf.enqueue(layout, GMEM_BACKING, STALE)
    worker = Triager(layout, SETTINGS, 0)
    worker.triage.memory.same.add(STALE_SPTE)  # only one kind, to be quick
    worker.one(path)
    assert not path.exists()
    folder = layout.findings / GMEM_BACKING.fingerprint
    history = read_history(folder)
    assert (history["found_after"], history["executions"], history["count"]) == (12.5, 4000, 1)
    assert history["seen_as"] == [["gmem-backing", "prefetched leaf", "both"]]
    assert history["shows_on"] == list(load(folder).shows_on) != []
    assert [parse(p.read_text()) for p in (folder / "members").iterdir()] == [STALE]
    assert ["gmem-backing", "prefetched leaf", "both"] in json.loads(layout.known.read_text())[
        "kinds"
    ]


def test_doing_a_file_again_after_a_kill_changes_nothing(layout: Layout) -> None:
    first = Triager(layout, SETTINGS, 0)
    first.triage.memory.same.add(STALE_SPTE)
    first.one(shelf.enqueue(layout, GMEM_BACKING, STALE))
    before = {p: p.read_bytes() for p in sorted(layout.findings.rglob("*")) if p.is_file()}
    again = Triager(layout, SETTINGS, 0)
    again.one(shelf.enqueue(layout, GMEM_BACKING, STALE))
    after = {p: p.read_bytes() for p in sorted(layout.findings.rglob("*")) if p.is_file()}
    assert {p: data for p, data in after.items() if p in before} == before


def test_a_finding_whose_history_was_not_written_yet_gets_it_the_next_time(layout: Layout) -> None:
    first = Triager(layout, SETTINGS, 0)
    first.triage.memory.same.add(STALE_SPTE)
    first.one(shelf.enqueue(layout, GMEM_BACKING, STALE))
    history = layout.findings / GMEM_BACKING.fingerprint / "history.json"
    history.unlink()
    again = Triager(layout, SETTINGS, 0)
    again.triage.memory.same.add(STALE_SPTE)
    again.one(shelf.enqueue(layout, GMEM_BACKING, STALE))
    assert read_history(history.parent)["shows_on"]


def test_what_a_shrink_met_is_queued(layout: Layout) -> None:
    worker = Triager(layout, SETTINGS, 0)
    worker.triage.memory.same.add(GMEM_BACKING)
    worker.one(shelf.enqueue(layout, STALE_SPTE, STALE))
    assert (layout.findings / STALE_SPTE.fingerprint).is_dir()
    names = [path.name.partition("-")[0] for path in layout.queue.iterdir()]
    assert names
    assert GMEM_BACKING.fingerprint not in names


def test_new_kinds_come_first_then_the_less_vain_and_known_ones_last(layout: Layout) -> None:
    new, vain, vainer, known = (Kind("warn", site, BOTH) for site in "abcd")
    paths = [shelf.enqueue(layout, kind, STALE) for kind in (known, vainer, vain, new)]
    worker = Triager(layout, SETTINGS, 0)
    worker.triage.memory.same.add(known)
    worker.triage.memory.vain.update({vain: 1, vainer: 5})
    for path in reversed(paths):
        assert worker.next_file() == path
        path.unlink()
    assert worker.next_file() is None


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("torn.prog", b"gmemdiff 1\nprof", "no profile"),
        ("bytes.prog", b"\xff\0\xff", "UTF-8"),
        ("notes.txt", b"hello", "not a gmemdiff program"),
        ("x" * 250, b"", "no program here"),
        ("large.prog", b"#" * ((1 << 20) + 1), "too many"),
    ],
)
def test_a_file_that_is_no_program_goes_to_quarantine_with_the_reason(
    layout: Layout, name: str, data: bytes, why: str
) -> None:
    path = layout.queue / name
    path.write_bytes(data)
    Triager(layout, SETTINGS, 0).one(path)
    assert not path.exists()
    moved = [p for p in layout.quarantine.iterdir() if not p.name.endswith(".why")]
    assert [p.read_bytes() for p in moved] == [data]
    assert why in moved[0].with_name(moved[0].name + ".why").read_text()


def test_a_pipe_a_folder_and_a_name_that_is_no_text_are_not_read(layout: Layout) -> None:
    os.mkfifo(layout.queue / "pipe.prog")
    (layout.queue / "folder.prog").mkdir()
    (layout.queue / "link.prog").symlink_to("/dev/zero")
    (layout.queue / os.fsdecode(b"\xff\xfe.prog")).write_text("")
    worker = Triager(layout, SETTINGS, 0)
    while (path := worker.next_file()) is not None:
        worker.one(path)
    assert len(list(layout.quarantine.iterdir())) == 8


def test_two_files_of_one_name_in_quarantine_are_both_kept(layout: Layout) -> None:
    for data in ("a", "b"):
        write_whole(layout.queue / "same.prog", data)
        Triager(layout, SETTINGS, 0).one(layout.queue / "same.prog")
    names = ("queue-same.prog", "queue-same.prog.2")
    assert {(layout.quarantine / n).read_text() for n in names} == {"a", "b"}


def test_a_program_on_which_our_code_fails_is_kept_as_an_error(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise HarnessError("ours")

    monkeypatch.setattr(triager, "suspicious", fails)
    path = shelf.enqueue(layout, GMEM_BACKING, STALE)
    Triager(layout, SETTINGS, 0).one(path)
    assert not path.exists()
    (program,) = layout.errors.glob("*.prog")
    assert parse(program.read_text()) == STALE
    assert program.with_suffix(".txt").read_text() == "HarnessError: ours\n"


def test_a_program_that_does_not_end_is_put_aside_as_a_hang(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs(*_: object) -> None:
        raise HungError("too long")

    monkeypatch.setattr(triager, "suspicious", hangs)
    path = shelf.enqueue(layout, GMEM_BACKING, STALE)
    Triager(layout, SETTINGS, 0).one(path)
    assert not path.exists()
    assert [parse(p.read_text()) for p in layout.hangs.glob("*.prog")] == [STALE]


def test_a_torn_list_of_known_kinds_is_moved_away_and_made_again_from_the_findings(
    layout: Layout,
) -> None:
    worker = Triager(layout, SETTINGS, 0)
    worker.triage.memory.same.add(STALE_SPTE)
    worker.one(shelf.enqueue(layout, GMEM_BACKING, STALE))
    layout.known.write_text("{")
    memory = shelf.load_memory(layout)
    assert memory.kept == memory.same == {GMEM_BACKING}
    assert (layout.quarantine / "root-known.json").read_text() == "{"


def test_a_kind_whose_finding_was_moved_away_is_not_known_any_more(layout: Layout) -> None:
    shelf.save_memory(layout, Memory(same={GMEM_BACKING}))
    assert shelf.load_memory(layout).same == set()


def test_two_changes_of_a_history_do_not_undo_each_other(layout: Layout) -> None:
    folder = layout.findings / "f"
    folder.mkdir()
    change_history(folder, lambda data: data.update(count=4))
    change_history(folder, lambda data: data.update(first_seen="now"))
    assert (read_history(folder)["count"], read_history(folder)["first_seen"]) == (4, "now")


def test_without_statistics_the_moment_is_what_workers_say(layout: Layout) -> None:
    write_whole_at = layout.worker(0) / "stats.json"
    write_whole_at.parent.mkdir()
    write_whole_at.write_text('{"executions": 7}')
    assert moment(layout) == Moment(0.0, 7)


def test_findings_are_judged_again(layout: Layout) -> None:
    done = Triage(load_model("stock"), load_model("seed"), 500)
    made = done.follow(STALE, STALE_SPTE, done.first_look(STALE))
    assert made.finding is not None
    shelf.keep(layout, made.finding, STALE, STALE_SPTE)
    assert [each.holds for each in rejudge(layout, SETTINGS)] == [True]
    mended = list(rejudge(layout, replace(SETTINGS, patched="stock")))
    assert [(each.holds, each.failed) for each in mended] == [(False, False)]
    assert mended[0].words == "INVARIANT both gmem-backing at prefetched leaf"


def test_the_queue_name_says_what_and_which(layout: Layout) -> None:
    program: Program = STALE
    name = queue_name(STALE_SPTE.fingerprint, format_program(program).encode())
    assert name.startswith(STALE_SPTE.fingerprint + "-")
    assert len(name) == 8 + 1 + 16 + len(".prog")


def test_what_lies_among_the_hangs_and_is_no_file_is_moved_away_unopened(layout: Layout) -> None:
    os.mkfifo(layout.hangs / "a.prog")  # opening it would wait for ever
    (layout.hangs / "b.prog").symlink_to("/dev/zero")
    worker = Triager(layout, SETTINGS, 0)
    while (path := worker.hangs.next_file()) is not None:
        worker.hangs.one(path)
    worker.hangs.one(layout.hangs / "gone.prog")
    assert list(layout.hangs.iterdir()) == []
    moved = [each.name for each in layout.quarantine.iterdir() if not each.name.endswith(WHY)]
    assert sorted(moved) == ["hangs-a.prog", "hangs-b.prog"]
