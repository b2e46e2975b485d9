"""Repair of a campaign directory: nothing is lost, everything is said, and twice is once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.finding import Finding
from fuzz.folder import load, save
from fuzz.judge import judge
from fuzz.overlay import load_model
from fuzz.text import parse
from tests.unit import samples
from tools.campaign.child.pulse import Pulse
from tools.campaign.layout import Layout, content_name
from tools.campaign.repair.campaign import repair

GOOD = samples.AGREE.encode()
NAME = content_name(GOOD)
MODELS = load_model("stock"), load_model("seed")
FINDING = Finding.of(judge(parse(samples.STALE), *MODELS), *MODELS)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A campaign directory with one program in its corpus."""
    made = Layout(tmp_path / "campaign")
    made.make()
    (made.corpus / NAME).write_bytes(GOOD)
    return made


def with_finding(layout: Layout) -> Path:
    """Put a whole finding into the directory."""
    folder = save(FINDING, layout.findings).parent
    (folder / "history.json").write_text(json.dumps({"format": 1, "count": 3}))
    return folder


def quarantined(layout: Layout) -> list[str]:
    return sorted(path.name for path in layout.quarantine.iterdir())


def test_a_directory_in_order_is_left_alone(layout: Layout) -> None:
    with_finding(layout)
    assert repair(layout) == []


def test_a_torn_file_is_moved_to_quarantine_with_the_reason(layout: Layout) -> None:
    torn = GOOD[: len(GOOD) // 2 + 7] + b"\n  user_wr"
    (layout.corpus / content_name(GOOD + b"x")).write_bytes(torn)
    (said,) = repair(layout)
    assert "is torn, or not a program" in said
    moved, why = quarantined(layout)
    assert (layout.quarantine / moved).read_bytes() == torn
    assert "torn" in (layout.quarantine / why).read_text()
    assert [path.name for path in layout.corpus.iterdir()] == [NAME]


@pytest.mark.parametrize("folder", ["corpus", "queue"])
def test_hostile_files_are_moved_and_never_followed_or_opened(layout: Layout, folder: str) -> None:
    here = layout.root / folder
    outside = layout.root.parent / "outside"
    outside.write_bytes(GOOD)
    (here / "link").symlink_to(outside)
    (here / "dangling").symlink_to("nowhere")
    os.mkfifo(here / "fifo")
    (here / "folder").mkdir()
    (here / "binary").write_bytes(b"gmemdiff 1\n\xff\xfe\0")
    with (here / "huge").open("wb") as file:
        file.truncate(1 << 33)
    said = repair(layout)
    assert len(said) == 6
    assert sum("is no regular file" in text for text in said) == 4
    assert any("8589934592 bytes" in text for text in said)
    assert outside.read_bytes() == GOOD
    assert len([name for name in quarantined(layout) if not name.endswith(".why")]) == 6
    assert repair(layout) == []


def test_a_program_under_a_wrong_name_is_renamed_not_lost(layout: Layout) -> None:
    other = samples.STALE.encode()
    (layout.corpus / "my-seed.prog").write_bytes(other)
    (layout.queue / "mine.prog").write_bytes(other)
    (layout.queue / f"69a427fe-{'0' * 16}.prog").write_bytes(GOOD)
    assert len(repair(layout)) == 3
    assert (layout.corpus / content_name(other)).read_bytes() == other
    short = content_name(other)[:16]
    assert (layout.queue / f"00000000-{short}.prog").read_bytes() == other
    assert (layout.queue / f"69a427fe-{NAME[:16]}.prog").read_bytes() == GOOD


def test_what_was_never_finished_is_removed(layout: Layout) -> None:
    folder = with_finding(layout)
    (folder / ".young.history.json.7").touch()
    (folder / ".finding.json.7").touch()
    (layout.findings / ".69a427ff.7").mkdir()
    (layout.findings / ".69a427ff.7" / "program.prog").touch()
    (layout.corpus / ".young.abc.7").touch()
    layout.worker(0).mkdir()
    (layout.worker(0) / ".young.stats.json.7").touch()
    (layout.root / ".young.ballast").touch()
    said = repair(layout)
    assert len(said) == 6
    assert all("was never finished; removed" in text for text in said)
    assert repair(layout) == []


def test_a_finding_without_its_data_is_judged_again(layout: Layout) -> None:
    folder = with_finding(layout)
    (folder / "members").mkdir()
    (folder / "members" / "one.prog").write_text(samples.STALE)
    (folder / "finding.json").write_text('{"format": 1, "ru')
    program = (folder / "program.prog").read_bytes()
    (said,) = repair(layout)
    assert "2 of its programs back to the queue" in said
    assert not folder.exists()
    waiting = {path.read_bytes() for path in layout.queue.iterdir()}
    assert waiting == {program, samples.STALE.encode()}
    assert all(path.name.startswith("69a427fe-") for path in layout.queue.iterdir())
    assert repair(layout) == []


def test_a_finding_is_completed_from_its_data(layout: Layout) -> None:
    folder = with_finding(layout)
    for name in ("program.prog", "report.txt", "history.json"):
        (folder / name).unlink()
    assert len(repair(layout)) == 3
    assert load(folder) == FINDING
    assert parse((folder / "program.prog").read_text()) == FINDING.program
    assert json.loads((folder / "history.json").read_text())["seen_as"] == [
        ["stale-spte", FINDING.kind.site, "patched-only"]
    ]
    assert repair(layout) == []


def test_an_edited_program_of_a_finding_is_not_deleted(layout: Layout) -> None:
    folder = with_finding(layout)
    (folder / "program.prog").write_text("my notes")
    (said,) = repair(layout)
    assert "what was there is in quarantine/69a427fe-program.prog" in said
    assert (layout.quarantine / "69a427fe-program.prog").read_text() == "my notes"


def test_what_a_worker_had_in_hand_is_tried_again(layout: Layout) -> None:
    other = samples.STALE.encode()
    Pulse(layout.worker(0) / "pulse").begin(other)
    Pulse(layout.worker(1) / "pulse").begin(b"\0\1\2")
    Pulse(layout.worker(2) / "pulse").idle()
    said = repair(layout)
    assert [text.partition(": ")[2] for text in said] == [
        "the program that worker 0 had in hand is tried again",
        "what worker 1 had in hand is no program; dropped",
    ]
    assert (layout.corpus / content_name(other)).read_bytes() == other
    assert repair(layout) == []


def test_torn_lines_are_cut_off_and_whole_ones_stay(layout: Layout) -> None:
    layout.stats.write_text('{"run_time": 1}\n{"run_ti')
    (said,) = repair(layout)
    assert "the last line was torn" in said
    assert layout.stats.read_text() == '{"run_time": 1}\n'


def test_a_damaged_record_goes_to_quarantine(layout: Layout) -> None:
    layout.known.write_text("{")
    layout.totals.write_text("[]")
    assert len(repair(layout)) == 2
    assert quarantined(layout) == [
        "root-known.json", "root-known.json.why", "root-totals.json", "root-totals.json.why"
    ]  # fmt: skip


def test_an_old_request_to_stop_is_removed(layout: Layout) -> None:
    layout.stop.touch()
    assert repair(layout) == ["stop: asked a session to end that is over; removed"]
    assert not layout.stop.exists()


@pytest.mark.parametrize("finished", [False, True])
def test_an_interrupted_cmin_leaves_one_whole_corpus(layout: Layout, finished: bool) -> None:
    layout.corpus.rename(layout.corpus_old)
    if finished:
        layout.corpus.mkdir()
        (layout.corpus / NAME).write_bytes(GOOD)
    assert len(repair(layout)) == 1
    assert [path.name for path in layout.corpus.iterdir()] == [NAME]
    assert not layout.corpus_old.exists()


def test_a_file_in_the_place_of_a_folder_is_moved(layout: Layout) -> None:
    layout.hangs.rmdir()
    layout.hangs.write_text("x")
    assert repair(layout) == ["hangs: is no folder; moved to hangs.not-a-folder"]
    assert layout.hangs.is_dir()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=200), cut=st.integers(0, len(GOOD)))
def test_no_byte_of_a_file_is_ever_lost(layout: Layout, data: bytes, cut: int) -> None:
    content = GOOD[:cut] + data
    (layout.corpus / "any-name").write_bytes(content)
    repair(layout)
    files = [*layout.corpus.iterdir(), *layout.quarantine.iterdir()]
    assert content in [path.read_bytes() for path in files]
    assert repair(layout) == []
