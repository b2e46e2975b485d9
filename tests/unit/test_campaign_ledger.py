"""The books of a worker: what goes to triage and what does not, and a disk that is full."""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fuzz.execution import HarnessError
from fuzz.finding import Kind, kinds_of
from fuzz.harness import Harness, Look
from fuzz.overlay import load_model
from fuzz.text import load, parse
from fuzz.vocabulary import Program
from tests.unit.samples import AGREE, STALE
from tools.campaign.child import ledger as module
from tools.campaign.child.ledger import ERRORS_KEPT, WAITING_MAX, Ledger
from tools.campaign.layout import Layout, content_name, write_whole

STOCK = load_model("stock")
SEED = load_model("seed")
HARNESS = Harness(STOCK, SEED)
HIT = parse(STALE)
AGAINST = Kind("stale-spte", "gmem-only prefetched leaf", "patched-only")
BOTH = Kind("gmem-backing", "prefetched leaf", "both")
VISIT = load(Path(__file__).parents[2] / "corpora" / "windows" / "fault_during_punch.prog")


class Clock:
    """Seconds that pass only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept = 0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += 1


LEARNT: list[Sequence[Program]] = []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def books(tmp_path: Path, clock: Clock) -> Ledger:
    layout = Layout(tmp_path)
    layout.make()
    layout.worker(0).mkdir()
    ledger = Ledger(layout, 0, SEED, clock, clock.sleep)
    HARNESS.numbers.clear()
    HARNESS.counters[:] = bytes(len(HARNESS.counters))
    LEARNT.clear()
    ledger.begin(HARNESS, LEARNT.append)
    return ledger


def run(ledger: Ledger, program: Program, times: int = 1) -> Look:
    """Execute a program and note it."""
    for _ in range(times):
        look = HARNESS.run(program)
        ledger.note(program, look)
    return look


def variant(number: int) -> Program:
    """The same hit with another text."""
    return parse(STALE.replace("value=7", f"value={number}"))


def queued(ledger: Ledger) -> Counter[str]:
    """Files in the queue by the fingerprint that they start with."""
    return Counter(name.partition("-")[0] for name in os.listdir(ledger.layout.queue))


def settle(ledger: Ledger, clock: Clock, **known: Any) -> None:
    """Triage writes known.json, and the worker's next second comes."""
    write_whole(ledger.layout.known, json.dumps({"format": 1, **known}))
    clock.now += 1.5
    ledger.tick()


def stats(ledger: Ledger) -> Any:
    """What stats.json holds now."""
    return json.loads((ledger.layout.worker(0) / "stats.json").read_text(encoding="utf-8"))


# What is queued.


def test_a_hit_is_queued_once_for_each_of_its_kinds_as_plain_text(books: Ledger) -> None:
    look = run(books, HIT)
    assert look.judgement is not None
    kinds = kinds_of(look.judgement)
    assert {AGAINST, BOTH} <= set(kinds)
    assert queued(books) == {kind.fingerprint: 1 for kind in kinds}
    for path in books.layout.queue.iterdir():
        assert load(path) == HIT
        assert path.name.endswith(f"-{content_name(path.read_bytes())[:16]}.prog")


def test_agreement_is_no_hit(books: Ledger) -> None:
    run(books, parse(AGREE))
    assert (books.executions, books.hits, books.seen) == (1, 0, Counter())
    assert queued(books) == {}


def test_only_so_many_of_a_kind_wait_and_more_when_triage_has_taken_some(books: Ledger) -> None:
    for number in range(20):
        run(books, variant(number))
    assert queued(books)[AGAINST.fingerprint] == WAITING_MAX
    taken = sorted(books.layout.queue.glob(f"{AGAINST.fingerprint}-*"))[:2]
    for path in taken:
        path.unlink()
    for number in range(20, 40):
        run(books, variant(number))
    assert queued(books)[AGAINST.fingerprint] == WAITING_MAX
    assert books.seen[AGAINST] == 40


def test_a_known_kind_is_counted_but_not_queued_and_hides_no_other(
    books: Ledger, clock: Clock
) -> None:
    settle(books, clock, kinds=[[AGAINST.rule, AGAINST.site, AGAINST.side]])
    run(books, HIT, 3)
    assert queued(books)[AGAINST.fingerprint] == 0
    assert queued(books)[BOTH.fingerprint] == 1
    assert books.seen[AGAINST] == 3


def test_a_kind_looked_at_in_vain_is_queued_ever_more_rarely(books: Ledger, clock: Clock) -> None:
    name = [AGAINST.rule, AGAINST.site, AGAINST.side]
    rare = {}
    for looks in (1, 10):
        books.seen.clear()
        settle(books, clock, kinds=[], vain=[[*name, looks]])
        rare[looks] = 0
        for number in range(40):
            for path in books.layout.queue.iterdir():
                path.unlink()
            books._queued.clear()
            run(books, variant(number))
            rare[looks] += queued(books)[AGAINST.fingerprint]
    assert rare == {1: 20, 10: 2}


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"kinds": 5}', '{"kinds": [["a", "b"]]}', '{"kinds": [5]}', "[" * 5,
        '{"kinds": [], "vain": [["a", "b", "c"]]}', '{"kinds": [], "vain": null}',
        '{"kinds": [[[], [], []]]}', '{"kinds": [], "vain": [["a", "b", "c", "x"]]}',
    ],
)  # fmt: skip
def test_a_broken_list_of_known_kinds_costs_looks_and_no_more(
    books: Ledger, clock: Clock, text: str
) -> None:
    write_whole(books.layout.known, text)
    clock.now += 1.5
    assert not books.tick()
    run(books, HIT)
    assert queued(books)[AGAINST.fingerprint] == 1


def test_a_list_of_known_kinds_that_is_mended_is_read(books: Ledger, clock: Clock) -> None:
    write_whole(books.layout.known, "torn")
    clock.now += 1.5
    books.tick()
    settle(books, clock, kinds=[[BOTH.rule, BOTH.site, BOTH.side]])
    assert books.known == {BOTH}


# A full disk.


class Disk:
    """write_whole on a disk that has no room for the next so many writes to the queue."""

    def __init__(self, refuse: int, number: int = errno.ENOSPC) -> None:
        self.refuse = refuse
        self.number = number
        self.waits: list[str] = []

    def __call__(self, path: Path, data: bytes | str) -> None:
        if path.name == "stats.json":
            self.waits.append(json.loads(data)["waiting"])
        elif self.refuse:
            self.refuse -= 1
            raise OSError(self.number, os.strerror(self.number))
        write_whole(path, data)


def test_on_a_full_disk_a_hit_waits_is_told_and_is_not_lost(
    books: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(refuse=5)
    monkeypatch.setattr(module, "write_whole", disk)
    run(books, HIT)
    assert clock.slept == 5
    assert disk.waits == ["cannot write: No space left on device"] * 5
    assert queued(books) == {kind.fingerprint: 1 for kind in books.seen}
    assert books.waiting == ""


def test_a_folder_that_takes_no_files_is_waited_for_too(
    books: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(refuse=2, number=errno.EACCES)
    monkeypatch.setattr(module, "write_whole", disk)
    run(books, HIT)
    assert disk.waits == ["cannot write: Permission denied"] * 2
    assert queued(books) == {kind.fingerprint: 1 for kind in books.seen}


def test_who_is_told_to_stop_while_waiting_ends_and_says_that_something_is_unsaved(
    books: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(refuse=1_000_000)
    monkeypatch.setattr(module, "write_whole", disk)

    def stop_at_three(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.slept == 3:
            books.layout.stop.touch()

    books.sleep = stop_at_three
    run(books, HIT)
    assert clock.slept == 3
    assert books.unsaved


def test_statistics_that_could_not_be_written_are_forgotten_not_waited_for(
    books: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_whole", no_room)
        clock.now += 1.5
        assert not books.tick()
    clock.now += 1.5
    books.tick()
    assert stats(books)["waiting"] == ""


def no_room(path: Path, data: bytes | str) -> None:
    """A disk without room."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# Errors of our own.


def test_an_input_on_which_we_fail_is_kept_with_the_words_and_is_no_hit(books: Ledger) -> None:
    books.failed(b"\x00input", HarnessError("KeyError in vcpu0[0]: 5"))
    name = content_name(b"\x00input")
    assert (books.layout.errors / f"{name}.prog").read_bytes() == b"\x00input"
    text = (books.layout.errors / f"{name}.txt").read_text(encoding="utf-8")
    assert text == "KeyError in vcpu0[0]: 5\n"
    assert (books.errors, books.hits) == (1, 0)


def test_an_error_on_every_input_does_not_fill_the_disk(books: Ledger) -> None:
    for number in range(ERRORS_KEPT + 20):
        books.failed(b"%d" % number, HarnessError("again"))
    assert books.errors == ERRORS_KEPT + 20
    assert len(os.listdir(books.layout.errors)) == 2 * ERRORS_KEPT


# Seconds and statistics.


def test_statistics_say_what_was_counted(books: Ledger, clock: Clock) -> None:
    run(books, HIT, 2)
    clock.now += 2
    run(books, VISIT)
    books.tick()
    said = stats(books)
    assert (said["executions"], said["hits"], said["errors"]) == (3, 2, 0)
    assert (said["start"], said["now"], said["last_new"]) == (1000.0, 1002.0, 1002.0)
    assert 0 < said["lines"] < said["lines_total"]
    assert said["pairs"] > 0
    assert [AGAINST.rule, AGAINST.site, AGAINST.side, 2] in said["seen"]
    assert said["pid"] == os.getpid()
    before, after = said["benefit"]["leaves zapped by notifiers"]
    assert before > after


def test_windows_are_counted_by_the_op_that_entered(books: Ledger, clock: Clock) -> None:
    run(books, VISIT, 2)
    clock.now += 2
    books.tick()
    said = stats(books)
    assert said["windows_entered"]["gmem start..end"]["read"] >= 2
    assert said["windows"] == sum(len(ops) for ops in said["windows_entered"].values())


def test_the_same_again_is_nothing_new(books: Ledger, clock: Clock) -> None:
    run(books, HIT)
    clock.now += 5
    run(books, HIT)
    assert books.last_new == 1000.0


def test_statistics_are_written_about_once_a_second(books: Ledger, clock: Clock) -> None:
    written = 0
    for _ in range(100):
        clock.now += 0.1
        books.tick()
        path = books.layout.worker(0) / "stats.json"
        written += path.exists()
        path.unlink(missing_ok=True)
    assert 8 <= written <= 10


def test_a_clock_that_is_set_back_does_not_silence_the_worker(books: Ledger, clock: Clock) -> None:
    clock.now -= 3600
    books.layout.stop.touch()
    assert books.tick()
    assert stats(books)["now"] == clock.now


def test_a_request_to_stop_is_seen_within_a_second_and_a_signal_at_once(
    books: Ledger, clock: Clock
) -> None:
    assert not books.tick()
    books.layout.stop.touch()
    assert not books.tick()
    clock.now += 1
    assert books.tick()
    books.layout.stop.unlink()
    books.stop()
    assert books.tick()


def test_programs_of_findings_are_passed_on_when_triage_has_news(
    books: Ledger, clock: Clock
) -> None:
    folder = books.layout.findings / "69a427fe"
    folder.mkdir()
    write_whole(folder / "finding.json", "{}")
    write_whole(folder / "program.prog", STALE)
    torn = books.layout.findings / "0badf00d"
    torn.mkdir()
    write_whole(torn / "finding.json", "{}")
    write_whole(torn / "program.prog", STALE[:40])
    settle(books, clock, kinds=[])
    assert [[parse(STALE)]] == LEARNT
    clock.sleep(5)
    books.tick()
    assert len(LEARNT) == 1
