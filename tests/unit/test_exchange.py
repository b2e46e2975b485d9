"""Home and a slice exchange programs by way of a share, whoever is killed in between."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("fsspec", reason="needs the extra: pip install 'gmemdiff[cluster]'")

from tools.campaign.layout import Layout, content_name
from tools.campaign.settings import Settings
from tools.campaign.supervise.inputs import keep_input
from tools.cluster.away import WAITING_MAX, Away
from tools.cluster.home import Home
from tools.cluster.share import CORPUS, HANGS, QUEUE, Share, ShareError

PROGRAM = b"gmemdiff 1\nprofile: v7.2 x86-tdp\nvmm0:\n  nop\n"
OTHER = PROGRAM + b"  nop\n"
NAME, OTHER_NAME = content_name(PROGRAM), content_name(OTHER)
WAITS = f"69a427fe-{NAME[:16]}.prog"


class Both:
    """A campaign at home, and slices of it on other hosts, all on one share."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.share = Share((root / "share").as_uri())
        self.layout = Layout(root / "home")
        self.layout.make()
        self.home = Home(self.share, self.layout)
        self.home.claim(Settings())

    def away(self, name: str = "away") -> tuple[Away, Layout]:
        """The end on another host."""
        layout = Layout(self.root / name)
        layout.make()
        return Away(Share(self.share.url), layout, "s1"), layout


@pytest.fixture
def both(tmp_path: Path) -> Both:
    """A campaign with a share."""
    return Both(tmp_path)


def names(folder: Path) -> list[str]:
    """Files of a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def test_a_corpus_travels_from_slice_to_home_and_to_other_slices(both: Both) -> None:
    (away, there), (second, other) = both.away(), both.away("second")
    (there.corpus / NAME).write_bytes(PROGRAM)
    (both.layout.corpus / OTHER_NAME).write_bytes(OTHER)
    away.exchange()
    both.home.exchange([])
    second.exchange()
    away.exchange()
    for layout in (both.layout, there, other):
        assert names(layout.corpus) == sorted([NAME, OTHER_NAME])


def test_a_half_written_corpus_file_waits_until_it_is_whole(both: Both) -> None:
    away, there = both.away()
    (there.corpus / NAME).write_bytes(PROGRAM[:9])
    away.exchange()
    assert both.share.sizes(CORPUS) == {}
    (there.corpus / NAME).write_bytes(PROGRAM)
    away.exchange()
    assert both.share.sizes(CORPUS) == {NAME: len(PROGRAM)}


def test_what_a_slice_has_replaced_does_not_come_back(both: Both) -> None:
    away, there = both.away()
    (there.corpus / NAME).write_bytes(PROGRAM)
    away.exchange()
    (there.corpus / NAME).unlink()  # somebody took it away
    away.exchange()
    assert names(there.corpus) == []


def test_two_slices_that_find_the_same_bring_one(both: Both) -> None:
    ends = both.away(), both.away("second")
    for away, there in ends:
        (there.queue / WAITS).write_bytes(PROGRAM)
        away.exchange()
    both.home.exchange([])
    assert names(both.layout.queue) == [WAITS]


def test_a_waiting_program_leaves_the_share_only_after_triage(both: Both) -> None:
    away, there = both.away()
    (there.queue / WAITS).write_bytes(PROGRAM)
    away.exchange()
    both.home.exchange([])
    both.home.exchange([])
    away.exchange()
    assert list(both.share.sizes(QUEUE)) == names(there.queue) == [WAITS]
    (both.layout.queue / WAITS).unlink()  # triage has put its result on disk
    both.home.exchange([])
    away.exchange()
    assert both.share.sizes(QUEUE) == {}
    assert names(there.queue) == []


def test_a_home_that_was_killed_fetches_the_queue_once_more(both: Both) -> None:
    away, there = both.away()
    (there.queue / WAITS).write_bytes(PROGRAM)
    away.exchange()
    both.home.exchange([])
    (both.layout.queue / WAITS).unlink()
    again = Home(both.share, both.layout)
    again.claim(Settings())
    again.exchange([])
    assert names(both.layout.queue) == [WAITS]


def test_no_more_of_one_kind_wait_at_home_than_are_of_use(both: Both) -> None:
    away, there = both.away()
    for number in range(WAITING_MAX + 5):
        data = PROGRAM + b"#%d\n" % number
        (there.queue / f"69a427fe-{content_name(data)[:16]}.prog").write_bytes(data)
    data = OTHER
    (there.queue / f"00000001-{content_name(data)[:16]}.prog").write_bytes(data)
    away.exchange()
    away.exchange()
    assert len(both.share.sizes(QUEUE)) == WAITING_MAX + 1


def test_a_torn_object_is_set_aside_when_it_stays_torn_and_sent_again(both: Both) -> None:
    away, there = both.away()
    both.share.write(f"{CORPUS}/{NAME}", PROGRAM[:9])
    assert both.home.exchange([]).torn == []  # somebody may be writing it
    assert both.home.exchange([]).torn == [f"{CORPUS}/{NAME}"]
    assert names(both.layout.corpus) == []
    (there.corpus / NAME).write_bytes(PROGRAM)
    away.exchange()
    both.home.exchange([])
    assert (both.layout.corpus / NAME).read_bytes() == PROGRAM


def test_a_torn_object_is_replaced_by_whoever_has_it_whole(both: Both) -> None:
    away, there = both.away()
    both.share.write(f"{QUEUE}/{WAITS}", b"")
    (there.queue / WAITS).write_bytes(PROGRAM)
    away.exchange()
    both.home.exchange([])
    assert (both.layout.queue / WAITS).read_bytes() == PROGRAM


def test_a_program_that_hangs_comes_home_with_its_text_and_leaves_every_corpus(both: Both) -> None:
    (away, there), (second, other) = both.away(), both.away("second")
    for layout in (there, other):
        (layout.corpus / NAME).write_bytes(PROGRAM)
    second.exchange()
    both.home.exchange([])
    assert names(both.layout.corpus) == [NAME]
    (there.corpus / NAME).unlink()
    keep_input(there.hangs, PROGRAM, "silent for 30 s")
    for _ in range(2):
        away.exchange()
        both.home.exchange([])
        second.exchange()
    assert (both.layout.hangs / f"{NAME}.prog").read_bytes() == PROGRAM
    assert (both.layout.hangs / f"{NAME}.txt").read_text() == "silent for 30 s"
    assert names(both.layout.corpus) == names(there.corpus) == names(other.corpus) == []
    assert both.share.sizes(CORPUS) == {}


def test_two_hosts_may_say_different_things_about_one_hang(both: Both) -> None:
    for name in ("one", "two"):
        away, there = both.away(name)
        keep_input(there.hangs, PROGRAM, f"silent on {name}")
        away.exchange()
    both.home.exchange([])
    assert (both.layout.hangs / f"{NAME}.txt").read_text().startswith("silent on ")
    texts = [name for name in both.share.sizes(HANGS) if name.endswith(".txt")]
    assert len(texts) == 1  # the second one had nothing to add: the program was there


def test_what_triage_knows_reaches_the_slices(both: Both) -> None:
    away, there = both.away()
    known = json.dumps({"format": 1, "kinds": [["stale-spte", "x", "patched-only"]]})
    both.layout.known.write_text(known)
    both.home.exchange([])
    away.exchange()
    assert there.known.read_text() == known


def test_a_torn_list_of_what_is_known_is_ignored(both: Both) -> None:
    away, there = both.away()
    both.share.write("known.json", b'{"format": 1, "ki')
    away.exchange()
    assert not there.known.exists()


def test_beats_are_heard_of_the_slices_that_run(both: Both) -> None:
    away, _ = both.away()
    away.beat("slice-a", {"executions": 5})
    away.beat("slice-b", {"executions": 7})
    assert both.home.exchange(["slice-a", "slice-c"]).beats == {"slice-a": {"executions": 5}}


def test_only_the_slices_of_the_session_that_ends_are_told_to(both: Both) -> None:
    away, _ = both.away()
    both.home.stop("another session")
    assert not away.exchange()
    both.home.stop("s1")
    assert away.exchange()


def test_a_location_belongs_to_one_campaign(both: Both, tmp_path: Path) -> None:
    stranger = Layout(tmp_path / "stranger")
    stranger.make()
    with pytest.raises(ShareError, match="belongs to another campaign"):
        Home(both.share, stranger).claim(Settings(seed=1))
    Home(both.share, both.layout).claim(Settings())  # its own session after the next


def test_a_new_session_forgets_the_stop_and_the_beats_of_the_one_before(both: Both) -> None:
    away, _ = both.away()
    both.home.stop("s1")
    away.beat("slice-a", {"executions": 5})
    Home(both.share, both.layout).claim(Settings())
    assert not away.exchange()
    assert both.home.exchange(["slice-a"]).beats == {}
