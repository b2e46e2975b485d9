"""One boot of a machine under test: QEMU, its deadlines, its console, what the executor sends.

The one idea: whatever happens inside (a panic, a hang, an executor that gives up), a boot ends in
bounded time with the messages that came and the console, and says which stage it ended in.  The
deadlines are for a machine that is shared with others: they end hangs, they do not measure.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tools.lab import wire
from tools.lab.errors import LabError

START: Final = "start"  # from QEMU's start to the executor's first line
LOAD: Final = "load"  # modules, KVM, guest memory
CASES: Final = "cases"
OVER: Final = "over"  # in Boot.seconds: when nothing more came
END: Final = "end"  # from the last result until QEMU is gone
# Seconds that each stage may take; CASES: from one line to the next.
DEADLINES: Final[Mapping[str, float]] = {START: 180.0, LOAD: 90.0, CASES: 60.0, END: 20.0}
_TERM_SECONDS: Final = 5.0
_READ: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive that begins with `head` and is `size` bytes long; options: of QEMU, for an image."""

    head: bytes
    size: int
    options: Callable[[Path], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Machine:
    """How to start one.  argv: QEMU with all its options but initrd and channels."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    channel: tuple[str, ...]  # options that connect the executor's way out to standard output
    deadlines: Mapping[str, float] = field(default_factory=lambda: dict(DEADLINES))
    drive: Drive | None = None


@dataclass(slots=True)
class Boot:
    """What came of a boot.

    messages: what the executor sent, in order; stage: how far it got; ended: "end" when all cases
    ran, else "deadline", "gone" (QEMU ended by itself, as after a panic) or "error" (the executor
    gave up); seconds: when a stage was reached, from the start.
    """

    messages: list[dict[str, Any]] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    stage: str = START
    ended: str = ""
    error: str = ""
    seconds: dict[str, float] = field(default_factory=dict)


def run_boot(
    machine: Machine, initrd: bytes, see: Callable[[dict[str, Any]], None] | None = None
) -> Boot:
    """Boot once and stay until it ends.  see: told of each message as it comes.

    Raises LabError when QEMU cannot be started at all.
    """
    boot = Boot()
    with tempfile.TemporaryDirectory(prefix="gmemdiff-lab-") as name:
        folder = Path(name)
        (folder / "initrd").write_bytes(initrd)
        drive = _drive(folder, machine.drive)
        console = folder / "console"
        argv = [
            *machine.argv, *machine.channel, *drive, "-serial", f"file:{console}",
            "-initrd", str(folder / "initrd"),
        ]  # fmt: skip
        with (folder / "stderr").open("wb") as stderr, _started(argv, machine.env, stderr) as qemu:
            _follow(qemu, machine, boot, see)
        with contextlib.suppress(OSError):
            boot.console = console.read_text(errors="replace").splitlines()
        said = (folder / "stderr").read_text(errors="replace").strip()
        if boot.stage == START and boot.ended == "gone" and said:
            raise LabError(f"QEMU does not start: {said.splitlines()[-1]}")
    return boot


def _drive(folder: Path, drive: Drive | None) -> tuple[str, ...]:
    """Make the drive's image, a file with a hole; the options that name it."""
    if drive is None:
        return ()
    path = folder / "drive"
    with path.open("wb") as file:
        file.write(drive.head)
        file.truncate(drive.size)
    return drive.options(path)


@contextlib.contextmanager
def _started(
    argv: Sequence[str], env: Mapping[str, str], stderr: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """QEMU in a process group of its own, gone at the end whatever happens."""
    try:
        qemu = subprocess.Popen(
            argv,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
    except OSError as error:
        raise LabError(f"{argv[0]} cannot be started: {error}") from error
    try:
        yield qemu
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if qemu.poll() is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(qemu.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                qemu.wait(_TERM_SECONDS)
        assert qemu.stdout is not None
        qemu.stdout.close()


def _follow(
    qemu: subprocess.Popen[bytes],
    machine: Machine,
    boot: Boot,
    see: Callable[[dict[str, Any]], None] | None,
) -> None:
    """Read the executor's lines until the boot ends, or a stage takes too long."""
    begun = time.monotonic()
    for line in _lines(qemu, lambda: machine.deadlines[boot.stage], boot):
        data = wire.message(line)
        if data is None:
            continue
        boot.messages.append(data)
        stage = _stage_after(boot.stage, data)
        if stage != boot.stage:
            boot.seconds[stage] = time.monotonic() - begun
            boot.stage = stage
        if "error" in data:
            boot.ended, boot.error = "error", str(data["error"])
        if see is not None:
            see(data)
    boot.seconds[OVER] = time.monotonic() - begun
    if boot.stage == END:
        boot.ended = "end"


def _stage_after(stage: str, data: Mapping[str, Any]) -> str:
    if "init" in data:
        return LOAD
    if "capabilities" in data:
        return CASES
    return END if "end" in data else stage


def _lines(
    qemu: subprocess.Popen[bytes], allowed: Callable[[], float], boot: Boot
) -> Iterator[str]:
    """Whole lines as they come; ends when QEMU does, or when none came for the time allowed."""
    assert qemu.stdout is not None
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(qemu.stdout, selectors.EVENT_READ)
        last = time.monotonic()
        while True:
            left = last + allowed() - time.monotonic()
            if left <= 0 or not selector.select(left):
                boot.ended = boot.ended or "deadline"
                return
            data = os.read(qemu.stdout.fileno(), _READ)
            if not data:
                boot.ended = boot.ended or "gone"
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                last = time.monotonic()
                yield line.decode("utf-8", "replace").rstrip("\r")
