"""A slot without processes: when something is started again, and who is blamed for what."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

from tools import exits
from tools.campaign.layout import Layout
from tools.campaign.supervise.disk import Disk
from tools.campaign.supervise.hook import Hook
from tools.campaign.supervise.process import (
    LOG_KEPT,
    LOG_MAX,
    log_tail,
    module_command,
    status_text,
    trim_log,
)
from tools.campaign.supervise.slot import Slot, Timing
from tools.campaign.views.snapshot import DISK_FULL, GAVE_UP, HOOK_FAILED, TRIAGER_DIED, FindingView


class Told(list[tuple[str, str]]):
    """Keeps what is told."""

    def __call__(self, kind: str, text: str) -> None:
        self.append((kind, text))


def slot(tmp_path: Path, told: Told, command: list[str], room: bool = True) -> Slot:
    return Slot("triage", command, tmp_path / "log", Timing(deaths_max=2), told, lambda: room)


def test_a_command_that_cannot_be_started_counts_as_one_that_died_young(tmp_path: Path) -> None:
    told = Told()
    one = slot(tmp_path, told, [str(tmp_path / "none")])
    one.tick(0.0)
    assert one.state() == "restarts in 0 s"
    assert "cannot be started" in told[0][1]
    one.tick(0.1)
    assert len(told) == 1  # it waits
    one.tick(1.0)
    assert [kind for kind, _ in told] == [TRIAGER_DIED, GAVE_UP]
    assert one.state() == "gone"
    assert one.over


def test_who_dies_on_a_full_disk_is_not_given_up(tmp_path: Path) -> None:
    told = Told()
    one = slot(tmp_path, told, [str(tmp_path / "none")], room=False)
    for second in range(0, 100, 10):
        one.tick(float(second))
    assert {kind for kind, _ in told} == {TRIAGER_DIED}
    assert "with the disk full" in told[-1][1]
    assert not one.over


def test_the_disk_is_asked_before_somebody_is_blamed(tmp_path: Path) -> None:
    told = Told()
    disk = Disk(Layout(tmp_path), 10.0, told)
    assert disk.room()
    disk.guard(lambda: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    assert not disk.room()
    assert [kind for kind, _ in told] == [DISK_FULL]
    assert not (tmp_path / "probe").exists()
    assert not Disk(Layout(tmp_path / "gone"), 10.0, told).room()


def test_an_exit_status_is_told_in_words() -> None:
    assert status_text(3) == "exit code 3"
    assert status_text(-11) == "killed by SIGSEGV"
    assert status_text(-9).startswith("killed by SIGKILL; by the kernel")
    assert status_text(-99) == "killed by signal 99"


def test_a_long_log_loses_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"a" * LOG_MAX)
    trim_log(log)
    assert log.stat().st_size == LOG_MAX
    with log.open("ab") as file:  # as a child that goes on writing
        file.write(b"the end")
        file.flush()
        trim_log(log)
        file.write(b" of it")
    assert log.stat().st_size < LOG_KEPT + 100
    assert log.read_bytes().startswith(b"(the beginning of this log was cut off)\n")
    assert log_tail(log).endswith("the end of it")
    assert log_tail(tmp_path / "none") == ""


def test_children_do_not_import_from_the_folder_they_run_in() -> None:
    assert module_command("tools.campaign.child.worker", "DIR", "0")[1:] == [
        "-P", "-m", "tools.campaign.child.worker", "DIR", "0"
    ]  # fmt: skip


def test_a_hook_that_cannot_be_started_is_told_about_once(tmp_path: Path) -> None:
    told = Told()
    hook = Hook([str(tmp_path / "none")], tmp_path / "hook.log", 1.0, told)
    finding = FindingView("69a427fe", "", "", "", "", 1, "", 0.0, str(tmp_path / "program.prog"))
    for _ in range(3):
        hook.found(finding)
    for second in range(5):
        hook.tick(float(second))
    assert not hook.busy
    assert [kind for kind, _ in told] == [HOOK_FAILED]


def test_without_a_hook_nothing_is_run(tmp_path: Path) -> None:
    hook = Hook([], tmp_path / "hook.log", 1.0, Told())
    hook.found(FindingView("69a427fe", "", "", "", "", 1, "", 0.0, ""))
    assert not hook.busy


def test_bad_input_is_not_tried_again(tmp_path: Path) -> None:
    told = Told()
    code = f"import sys; print('patch.py:3:1: wrong'); sys.exit({exits.BAD_INPUT})"
    one = slot(tmp_path, told, [sys.executable, "-c", code])
    one.tick(0.0)
    assert one.child is not None
    one.child._process.wait()
    one.tick(1.0)
    assert told == [(GAVE_UP, "triage cannot work: patch.py:3:1: wrong")]
    assert one.refused
