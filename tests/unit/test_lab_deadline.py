"""Commands with a deadline end in time, and leave nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.lab.deadline import Deadline
from tools.lab.errors import MissingError

# Starts a child that would write a file after a second, and waits for it.
SLOW = "(sleep 1; echo late > {file}) & wait"


def test_a_command_that_ends_in_time_tells_what_it_said() -> None:
    done = Deadline(60).run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_the_budget_is_shared_by_all_commands() -> None:
    deadline = Deadline(0.05)
    with pytest.raises(MissingError, match=r"sleep was not done within the 0\.05 s given"):
        deadline.run(["sleep", "5"])
    with pytest.raises(MissingError, match="larger --max-time"):
        deadline.run(["true"])


@pytest.mark.slow
def test_what_a_command_started_ends_with_it(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        Deadline(0.2).run(["sh", "-c", SLOW.format(file=tmp_path / "file")])
    time.sleep(1.5)
    assert not (tmp_path / "file").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nothing_goes_on_when_we_are_terminated(tmp_path: Path, number: signal.Signals) -> None:
    slow = SLOW.format(file=tmp_path / "file")
    code = (
        "from tools.lab.deadline import Deadline\n"
        f"print(Deadline(60).run(['sh', '-c', {f'echo > {tmp_path}/started; {slow}'!r}]))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    while not (tmp_path / "started").exists():
        assert child.poll() is None
        time.sleep(0.01)
    os.kill(child.pid, number)
    _, said = child.communicate(timeout=30)
    assert b"KeyboardInterrupt" in said
    time.sleep(1.5)
    assert not (tmp_path / "file").exists()


def test_a_command_that_is_not_there_is_told() -> None:
    with pytest.raises(MissingError, match="/no/such cannot be started: No such file"):
        Deadline(1).run(["/no/such"])
