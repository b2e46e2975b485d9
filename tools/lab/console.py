"""What a kernel's console says of its health: WARN, BUG, Oops, panic.

The one idea: a report is the lines between "cut here" (or the first line that has the form of
one) and the end of its trace; its headline, the function it happened in and the functions of the
call trace are what people and fingerprints need.  The forms are those of kernel/panic.c,
arch/x86/kernel/dumpstack.c and arch/arm64/kernel/traps.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

LINES_MAX: Final = 120  # of one report
TAIL_LINES: Final = 15

_STAMP: Final = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")
_START: Final = re.compile(
    r"------------\[ cut here \]|WARNING: |BUG: |kernel BUG at |Oops: |Oops - |"
    r"Unable to handle kernel |general protection fault|Kernel panic - |"
    r"Internal error: |unexpected kernel BRK|divide error: |int3: |invalid opcode: |"
    r"stack segment: |double fault: |UBSAN: |kasan: "
)
_CUT: Final = "------------[ cut here ]"
_END: Final = re.compile(r"---\[ end (trace|Kernel panic)")
_WHERE: Final = re.compile(r"\b(?:RIP: \d+:|pc : |RIP: )(\w[\w.]*)(?:\+0x|$)")
_FRAME: Final = re.compile(r"^ *(?:\? )?(\w[\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+")
_FATAL: Final = re.compile(
    r"kernel BUG|Oops|Unable to handle|general protection|panic|Internal error|divide error|"
    r"int3|invalid opcode|stack segment|double fault|BUG: (?:unable|kernel NULL)"
)
# Lines that a machine without a real clock or with little memory may bring by itself.
_HARMLESS: Final = re.compile(r"soft lockup|rcu: INFO|clocksource|Memory failure: |sched: RT")


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that a kernel complained of.

    headline: in the kernel's words; where: the function, empty if the report names none; trace:
    functions of the call trace, the innermost first, uncertain ones left out; text: its lines.
    """

    headline: str
    where: str
    trace: tuple[str, ...]
    text: tuple[str, ...]
    fatal: bool

    @property
    def is_emulators(self) -> bool:
        """Whether this is a known fault of the emulation and not of the kernel.

        With several processors, QEMU 7.2's TCG now and then lets one of them run into a breakpoint
        that the kernel sets while it rewrites its own code: an int3 far from KVM.
        """
        return any("int3" in line for line in self.text) and not any(
            "[kvm" in line for line in self.text if "Modules linked in" not in line
        )

    def __str__(self) -> str:
        at = f" in {self.where}" if self.where and self.where not in self.headline else ""
        path = f" <- {' <- '.join(self.trace[:6])}" if self.trace else ""
        return f"{self.headline}{at}{path}"


def reports(lines: Iterable[str]) -> list[Report]:
    """All complaints in a console's or kernel log's lines, in order."""
    found: list[Report] = []
    current: list[str] = []
    for raw in lines:
        line = plain(raw)
        starts = _START.search(line) is not None and not _HARMLESS.search(line)
        if current:
            current.append(line)
            if _END.search(line) or len(current) == LINES_MAX:
                found.append(_report(current))
                current = []
        elif starts:
            current = [line]
    if current:
        found.append(_report(current))
    return found


def plain(line: str) -> str:
    """A line without its time stamp and carriage return."""
    return _STAMP.sub("", line.rstrip("\r\n"))


def _report(lines: Sequence[str]) -> Report:
    headline = next((line for line in lines if _CUT not in line and _START.search(line)), lines[0])
    where = ""
    trace: list[str] = []
    in_trace = False
    for line in lines:
        place = _WHERE.search(line)
        if place and not where:
            where = place[1]
        if line.strip().lower().startswith("call trace"):
            in_trace = True
        elif in_trace:
            frame = _FRAME.match(line)
            if frame and "? " not in line:
                trace.append(frame[1])
    text = "\n".join(lines)
    return Report(headline.strip(), where, tuple(trace), tuple(lines), bool(_FATAL.search(text)))


def tail(lines: Sequence[str], count: int = TAIL_LINES) -> str:
    """The last lines of a console, for an error."""
    kept = [line.rstrip("\r\n") for line in lines if line.strip()][-count:]
    return "\n".join(kept) if kept else "(the console is empty)"
