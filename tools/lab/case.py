"""What the lab runs and what it gets back, as plain data.

A *case* is one program in one serial order (or as threads, repeated); a *boot* runs many cases on
one kernel and one MMU flavour; an *observation* is what one op of a case came to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from fuzz.vocabulary import Op, Program

# KVM's binary statistics that are read after each op; those of vCPUs are summed.  The guest code's
# own pages and faults are not in them.
STATS: Final = (
    "pages_4k",
    "pf_fixed",
    "tlb_flush",
    "remote_tlb_flush",
    "remote_tlb_flush_requests",
    "pf_taken",
    "pf_emulate",
    "pf_spurious",
)

LAB: Final = "lab"  # the actor of probes
MARKER: Final = 0x6B72616D62616C67  # what a stranger fills its pages with

SERIAL: Final = "serial"
THREADS: Final = "threads"

DONE: Final = "done"  # every op has a result
OOPS: Final = "oops"  # the kernel warned, oopsed or panicked meanwhile; `log` tells
TIMEOUT: Final = "timeout"  # an op did not come back in time
DIED: Final = "died"  # the executor's process was killed; `log` says by what
SKIPPED: Final = "skipped"  # not expressible, or this kernel lacks something; `log` says what


@dataclass(frozen=True, slots=True)
class Turn:
    """One op in a serial order: the actor that does it, its number there, and the op."""

    actor: str  # "setup", "vmm0", "vcpu1", ...
    index: int
    op: Op


@dataclass(frozen=True, slots=True)
class Case:
    """One program to run on a kernel.

    order: every op once, setup first.  In threads mode, the actors of the program run at the same
    time after the setup, `repeat` times, each time on a new VM.
    probes: ops of the lab's own actor LAB, done last and alone, through the first vCPU: `read`,
    `write`, `stat` and the like as in programs, `grab PAGES` (a stranger, a process that has
    nothing to do with the VM, takes that many fresh pages and fills them with MARKER) and
    `damage` (how many pages of the stranger hold something else by now).  A guest that reads
    MARKER, or damage that is not 0, proves that a freed page is still mapped.
    """

    name: str
    program: Program
    order: tuple[Turn, ...]
    mode: str = SERIAL
    repeat: int = 1
    probes: tuple[Op, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """What an op came to.  result: as fuzz.actors.result_text() writes it; stats: after the op."""

    actor: str
    index: int
    result: str
    stats: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What a case came to.  attempts: one tuple of observations per repetition."""

    name: str
    status: str
    attempts: tuple[tuple[Observation, ...], ...] = ()
    log: str = ""


@dataclass(frozen=True, slots=True)
class BootResult:
    """What a boot came to: where it ran, how long it took (seconds), and a result per case."""

    kernel: str  # release, such as "7.2.12+deb13-cloud-amd64"
    patched: bool
    mmu: str  # "tdp", "direct", "shadow" or "arm64"
    boot_seconds: float
    run_seconds: float
    results: tuple[CaseResult, ...]
    capabilities: dict[str, int] = field(default_factory=dict)
