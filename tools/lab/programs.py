"""Finished programs on a real kernel: static binaries in the initrd, run one after the other.

As in tools/lab/lab.py, a panic or a hang costs the program it happened in; those behind it run in
the next boot.  What a program prints is kept line by line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from tools.lab import console
from tools.lab.boot import CASES, END, Boot, run_boot
from tools.lab.emulator import Emulator, find_emulator
from tools.lab.errors import LabError
from tools.lab.initrd import FILE, PROGRAM, Entry, base_archive, newc
from tools.lab.kernels import Kernel
from tools.lab.machines import TCG, machine_for, module_order
from tools.lab.static import build_runner

SECONDS_EACH: Final = 180.0  # from one line of a program to the next
BOOTS_EMPTY_MAX: Final = 2


@dataclass(frozen=True, slots=True)
class Executable:
    """A static program and its arguments."""

    name: str
    binary: bytes
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """What became of an executable.

    lines: what it printed.  ended: "exit 1", "signal 11", or, when the machine did not live to
    tell, "oops" or "hang"; log: then what the kernel said.
    """

    name: str
    lines: tuple[str, ...]
    ended: str
    log: str = ""


@dataclass(slots=True)
class _Open:
    """The executable that runs now; number: its place in the batch, -1: none has begun."""

    number: int = -1
    lines: list[str] = field(default_factory=list)
    done: list[Output] = field(default_factory=list)


class ProgramLab:
    """One kernel and MMU flavour, ready to run executables.

    Raises LabError when kernel and MMU do not fit, MissingError when something lacks.
    """

    def __init__(
        self,
        kernel: Kernel,
        mmu: str,
        emulator: Emulator | None = None,
        accel: str = TCG,
        cpus: int = 1,
    ) -> None:
        self.kernel = kernel
        self.mmu = mmu
        machine = machine_for(kernel, emulator or find_emulator(kernel.arch), mmu, accel, cpus)
        deadlines = {**machine.deadlines, CASES: SECONDS_EACH}
        self.machine = replace(machine, deadlines=deadlines)

    @cached_property
    def base(self) -> bytes:
        """The archive that is the same for all boots."""
        modules = {path.name: path.read_bytes() for path in self.kernel.modules}
        return base_archive(
            build_runner().read_bytes(), modules, module_order(self.kernel, self.mmu)
        )

    def run(
        self, programs: Sequence[Executable], told: Callable[[Output], None] | None = None
    ) -> list[Output]:
        """Run them all; one output each, in their order.  told: of each as it comes.

        Raises LabError when the machine does not get so far as to run any.
        """
        outputs: list[Output] = []
        empty = 0
        while len(outputs) < len(programs):
            done = self._boot(programs[len(outputs) :], told or (lambda output: None))
            outputs += done
            empty = 0 if done else empty + 1
            if empty == BOOTS_EMPTY_MAX:
                raise LabError(f"{self.kernel.name}: {empty} boots in a row ran no program")
        return outputs

    def _boot(self, programs: Sequence[Executable], told: Callable[[Output], None]) -> list[Output]:
        now = _Open()

        def end(ended: str, log: str = "") -> None:
            output = Output(programs[now.number].name, tuple(now.lines), ended, log)
            now.done.append(output)
            told(output)

        def see(data: dict[str, Any]) -> None:
            if "begin" in data:
                now.number, now.lines = int(data["begin"]), []
            elif "line" in data:
                now.lines.append(str(data["text"]))
            elif "exit" in data:
                end(str(data["status"]))

        boot = run_boot(self.machine, self.base + _archive(programs), see)
        if boot.stage not in (CASES, END):
            raise LabError(_no_start(self, boot))
        if len(now.done) == now.number and boot.ended != "end":  # one began and did not end
            end(*_failure(boot))
        return now.done


def _archive(programs: Sequence[Executable]) -> bytes:
    lines = [
        " ".join((f"/program{number}", *program.arguments))
        for number, program in enumerate(programs)
    ]
    entries = [Entry("programs", FILE, "".join(f"{line}\n" for line in lines).encode())]
    entries += [
        Entry(f"program{number}", PROGRAM, program.binary)
        for number, program in enumerate(programs)
    ]
    return newc(entries)


def _failure(boot: Boot) -> tuple[str, str]:
    """How the machine ended while a program ran."""
    found = [report for report in console.reports(boot.console) if report.fatal]
    if found:
        return "oops", "\n".join((str(found[0]), *found[0].text))
    what = "hangs" if boot.ended == "deadline" else "stopped"
    return "hang", f"the machine {what}; the console ends:\n{console.tail(boot.console)}"


def _no_start(lab: ProgramLab, boot: Boot) -> str:
    return (
        f"{lab.kernel.name}, {lab.mmu}: stage '{boot.stage}' failed: {boot.error or boot.ended}; "
        f"the console ends:\n{console.tail(boot.console)}"
    )
