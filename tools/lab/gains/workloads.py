"""What is measured: a guest that touches its memory, and a VMM that does something to its mappings.

The guest has a slot whose memory comes from a guest_memfd only, and an ordinary one beside.  In
every round it writes to each page of both; between rounds the VMM makes system calls on the user
addresses of one of them, and maps their pages again.  A workload is run *in turns*, where each
side waits for the other and every count is certain, and *at once*, where both are threads that do
not wait, and counts may be up to the scheduler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from fuzz.text import parse
from fuzz.vocabulary import SETUP, Program
from reference.features import Profile
from tools.lab.case import THREADS, Case, Turn
from tools.lab.conform.observe import serial_case

GMEM_PAGES: Final = 32
ORDINARY_PAGES: Final = 8
ROUNDS: Final = 5  # times that the guest touches everything; the VMM acts between them
CALLS_AT_ONCE: Final = 288  # of the VMM, while the guest goes on
IN_TURNS: Final = "in turns"
AT_ONCE: Final = "at once"
GUEST: Final = "vcpu0"
VMM: Final = "vmm0"

_GMEM: Final = f"hva=A len={GMEM_PAGES}p"
_ORDINARY: Final = f"hva=B len={ORDINARY_PAGES}p"
_SETUP: Final = f"""
  create_gmem fd=gmem0 size={GMEM_PAGES}p
  mmap {_GMEM} fd=gmem0 share=shared
  set_region slot=0 size={GMEM_PAGES}p hva=A flags=GUEST_MEMFD fd=gmem0
  mmap {_ORDINARY} share=private
  set_region slot=1 gpa={GMEM_PAGES}p size={ORDINARY_PAGES}p hva=B
  madvise {_GMEM} advice=POPULATE_WRITE
  madvise {_ORDINARY} advice=POPULATE_WRITE
"""


@dataclass(frozen=True, slots=True)
class Workload:
    """calls: what the VMM does between two rounds of the guest, as lines of a program."""

    name: str
    about: str
    calls: tuple[str, ...]


WORKLOADS: Final = (
    Workload(
        "mprotect",
        "the gmem-only slot's user mapping is made read-only and writable again",
        (f"mprotect {_GMEM} prot=READ", f"mprotect {_GMEM} prot=READ|WRITE"),
    ),
    Workload(
        "madvise",
        "MADV_DONTNEED on the gmem-only slot's user mapping",
        (f"madvise {_GMEM} advice=DONTNEED", f"madvise {_GMEM} advice=POPULATE_WRITE"),
    ),
    Workload(
        "munmap",
        "the gmem-only slot's user mapping is unmapped, and the file mapped again",
        (
            f"munmap {_GMEM}",
            f"mmap {_GMEM} fd=gmem0 share=shared",
            f"madvise {_GMEM} advice=POPULATE_WRITE",
        ),
    ),
    Workload(
        "ordinary",
        "MADV_DONTNEED on the ordinary slot's user mapping: nothing that the patch changes",
        (f"madvise {_ORDINARY} advice=DONTNEED", f"madvise {_ORDINARY} advice=POPULATE_WRITE"),
    ),
)


def program_of(workload: Workload, profile: Profile, rounds: int) -> Program:
    """The guest's accesses of all its rounds, and the VMM's calls between them.

    rounds: of the VMM; the guest has ROUNDS of its own.
    """
    pages = GMEM_PAGES + ORDINARY_PAGES
    guest = [f"  write gfn={gfn} value={gfn + 1}" for gfn in range(pages)] * ROUNDS
    vmm = [f"  {call}" for call in workload.calls] * rounds
    text = (
        f"gmemdiff 1\nprofile: {profile}\nsetup:{_SETUP}"
        + "\n".join((f"{GUEST}:", *guest, f"{VMM}:", *vmm))
        + "\n"
    )
    return parse(text, workload.name)


def in_turns(workload: Workload, profile: Profile) -> Case:
    """The workload with nobody in anybody's way."""
    program = program_of(workload, profile, ROUNDS - 1)
    touches = [GUEST] * (GMEM_PAGES + ORDINARY_PAGES)
    between = [*[VMM] * len(workload.calls), *touches]
    return serial_case(f"{workload.name}, {IN_TURNS}", program, touches + between * (ROUNDS - 1))


def at_once(workload: Workload, profile: Profile, repeat: int) -> Case:
    """The workload as threads, repeated; a last op that does nothing has the counts at the end."""
    program = program_of(workload, profile, CALLS_AT_ONCE // len(workload.calls))
    order = [Turn(SETUP, at, op) for at, op in enumerate(program.setup)]
    for actor in program.actors:
        order += [Turn(actor.name, at, op) for at, op in enumerate(actor.ops)]
    probe = parse(f"gmemdiff 1\nprofile: {profile}\nvmm0:\n  nop\n").actors[0].ops
    return Case(f"{workload.name}, {AT_ONCE}", program, tuple(order), THREADS, repeat, probe)


def own_case(name: str, program: Program, profile: Profile) -> Case:
    """A program of the user's own, in turns: actors op by op, as the models run it."""
    ops = [(i, actor.name) for actor in program.actors for i in range(len(actor.ops))]
    order = [actor for _, actor in sorted(ops, key=lambda each: each[0])]
    return serial_case(name, replace(program, profile=profile, schedule=()), order)


def chosen(names: Sequence[str]) -> tuple[Workload, ...]:
    """The workloads of these names, all when there is none."""
    return tuple(each for each in WORKLOADS if not names or each.name in names)
