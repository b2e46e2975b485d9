"""One worker as a process: it fuzzes, says what it does, shares its corpus, and ends when asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fuzz.judge import fingerprint
from fuzz.text import load
from tools.campaign.child.pulse import read_pulse
from tools.campaign.layout import Layout, content_name
from tools.campaign.settings import Settings, save_settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
WORKER = "tools.campaign.child.worker"
SECONDS_MAX = 60  # on a busy machine; what is waited for takes a few
COUNTS = (
    "executions", "steps", "hits", "inconclusive", "errors", "lines", "lines_total", "pairs",
    "windows",
)  # fmt: skip
TYPES: dict[str, Any] = {
    "format": int, "worker": int, "pid": int, "start": float, "now": float, "last_new": float,
    "rss_mb": float, "waiting": str, "windows_entered": dict, "seen": list, "benefit": dict,
    **dict.fromkeys(COUNTS, int),
}  # fmt: skip


class Camp:
    """A campaign directory, and the workers started in it."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        self.layout.make()
        self.children: list[subprocess.Popen[str]] = []

    def start(self, number: int = 0) -> subprocess.Popen[str]:
        """Start a worker."""
        folder = self.layout.worker(number)
        folder.mkdir(exist_ok=True)
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tools.campaign.child.worker",
                str(self.layout.root),
                str(number),
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=(folder / "log").open("w"),
            text=True,
        )
        self.children.append(child)
        return child

    def stats(self, number: int = 0) -> Any:
        """The worker's last statistics; nothing before the first."""
        try:
            text = (self.layout.worker(number) / "stats.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return {"executions": 0}
        return json.loads(text)

    def log(self, number: int = 0) -> str:
        """What the worker printed."""
        return (self.layout.worker(number) / "log").read_text(encoding="utf-8")

    def wait_for(self, what: Callable[[], bool]) -> None:
        """Wait until something is so; fail when the workers end or it takes too long."""
        end = time.monotonic() + SECONDS_MAX
        while not what():
            assert time.monotonic() < end, self.log()
            assert all(child.poll() is None for child in self.children), self.log()
            time.sleep(0.05)


@pytest.fixture
def camp(tmp_path: Path) -> Iterator[Camp]:
    """A campaign of small programs against the seed patch."""
    made = Camp(tmp_path / "campaign")
    save_settings(made.layout, Settings(ops_max=8, seed=3))
    yield made
    for child in made.children:
        child.kill()
        child.wait()


def test_it_fuzzes_keeps_what_is_new_queues_hits_and_ends_on_sigterm(camp: Camp) -> None:
    child = camp.start()
    camp.wait_for(lambda: camp.stats()["executions"] > 1500)
    executions, _ = read_pulse(camp.layout.worker(0) / "pulse")
    assert executions >= camp.stats()["executions"]
    child.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    assert child.wait(timeout=SECONDS_MAX) == 0
    assert time.monotonic() - begin < 2
    check_statistics(camp.stats(), child.pid)
    assert read_pulse(camp.layout.worker(0) / "pulse")[1] == b""
    corpus = list(camp.layout.corpus.iterdir())
    assert len(corpus) > 100
    for path in corpus:
        assert path.name == content_name(path.read_bytes())
    queue = list(camp.layout.queue.iterdir())
    assert queue
    known = {fingerprint(rule, side, site) for rule, site, side, _ in camp.stats()["seen"]}
    for path in queue:
        name, _, digest = path.stem.partition("-")
        assert name in known
        assert digest == content_name(path.read_bytes())[:16]
        load(path)
    assert not [path for path in camp.layout.worker(0).iterdir() if "crash" in path.name]


def check_statistics(stats: Any, pid: int) -> None:
    """stats.json is what other parts read."""
    assert set(stats) == set(TYPES)
    for name, kind in TYPES.items():
        assert isinstance(stats[name], kind), name
    assert (stats["format"], stats["worker"], stats["pid"], stats["waiting"]) == (1, 0, pid, "")
    assert all(stats[name] >= 0 for name in COUNTS)
    assert stats["start"] <= stats["last_new"] <= stats["now"] <= time.time()
    assert 0 < stats["lines"] <= stats["lines_total"]
    assert stats["errors"] == 0
    assert stats["steps"] > 10 * stats["executions"]
    assert stats["windows"] == sum(len(ops) for ops in stats["windows_entered"].values()) > 20
    assert all(len(each) == 4 and each[3] > 0 for each in stats["seen"])
    assert all(len(pair) == 2 for pair in stats["benefit"].values())


def test_it_ends_with_code_0_when_the_stop_file_appears(camp: Camp) -> None:
    child = camp.start()
    camp.wait_for(lambda: camp.stats()["executions"] > 50)
    camp.layout.stop.touch()
    assert child.wait(timeout=SECONDS_MAX) == 0


def test_it_dumps_its_stack_on_request_and_goes_on(camp: Camp) -> None:
    child = camp.start()
    camp.wait_for(lambda: camp.stats()["executions"] > 50)
    before = camp.stats()["executions"]
    child.send_signal(signal.SIGUSR1)
    camp.wait_for(lambda: "most recent call first" in camp.log())
    camp.wait_for(lambda: camp.stats()["executions"] > before)


def test_two_workers_share_a_corpus_and_do_not_disturb_each_other(camp: Camp) -> None:
    for number in (0, 1):
        camp.start(number)
    camp.wait_for(lambda: all(camp.stats(number)["executions"] > 800 for number in (0, 1)))
    camp.layout.stop.touch()
    assert [child.wait(timeout=SECONDS_MAX) for child in camp.children] == [0, 0]
    assert len(list(camp.layout.corpus.iterdir())) > 100
    assert "Traceback" not in camp.log(0) + camp.log(1)


def test_what_another_process_puts_into_the_corpus_is_run_while_it_works(camp: Camp) -> None:
    """A window that small random programs hardly enter shows that the file was executed."""
    camp.start()
    camp.wait_for(lambda: camp.stats()["executions"] > 50)
    assert "bind..swap" not in camp.stats()["windows_entered"]
    rare = (
        b"gmemdiff 1\nprofile: v7.2 x86-tdp\nsetup:\n  create_gmem fd=gmem0 size=8p\n"
        b"vmm0:\n  set_region slot=0 size=8p hva=A flags=GUEST_MEMFD fd=gmem0\n"
        b"kthread0:\n  exit_mm\n"
        b"schedule:\n  vmm0[0] at kvm_set_memslot.slots_arch_lock#1 -> kthread0\n"
    )
    (camp.layout.corpus / content_name(rare)).write_bytes(rare)
    camp.wait_for(lambda: "exit_mm" in camp.stats()["windows_entered"].get("bind..swap", {}))


def test_torn_and_hostile_files_in_the_corpus_do_not_stop_it(camp: Camp) -> None:
    for name, data in (
        ("empty", b""),
        ("torn", b"gmemdiff 1\nprofile: v7"),
        ("binary", bytes(range(256)) * 8),
        ("large", b"gmemdiff 1\n" + b"#" * 300_000),
        ("control", b"# \x00\x1b[31m\n"),
    ):
        (camp.layout.corpus / name).write_bytes(data)
    child = camp.start()
    camp.wait_for(lambda: camp.stats()["executions"] > 300)
    assert (camp.stats()["errors"], child.poll()) == (0, None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(patched="sed"), "unknown model 'sed'; did you mean 'seed'?"),
        (Settings(patched="models/mine.py"), "models/mine.py:2:1: is not Python: "),
        (Settings(ops_min=9, ops_max=3), "ops_min to ops_max is 9 to 3"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_code_2(
    camp: Camp, settings: Settings, message: str
) -> None:
    (camp.layout.models / "mine.py").write_text("# not closed\n(\n", encoding="utf-8")
    save_settings(camp.layout, settings)
    assert camp.start().wait(timeout=SECONDS_MAX) == 2
    assert message in camp.log()
    assert camp.log().count("\n") == 1


def test_a_model_that_fails_while_it_runs_is_the_users_with_file_and_line(camp: Camp) -> None:
    text = "def young_leaves(kvm, gfn_range, clear):\n    return kvm.no_such_thing\n"
    (camp.layout.models / "mine.py").write_text(text, encoding="utf-8")
    save_settings(camp.layout, Settings(patched="models/mine.py"))
    assert camp.start().wait(timeout=SECONDS_MAX) == 2
    assert "mine.py:2:1: AttributeError" in camp.log()
    assert not list(camp.layout.errors.iterdir())
