"""What may differ between the two sides, in one table, and how the rest is compared.

A patch that keeps leaves of gmem-only slots alive promises to change these and nothing else:

| what differs                       | because                                        |
|------------------------------------|------------------------------------------------|
| leaves of gmem-only slots survive  | the promise itself                             |
| fewer faults, flushes, retries     | nothing was zapped, nothing is in progress     |
| fewer sequence bumps, lock holds   | the walk does not reach mmu_lock               |
| young hooks answer 0               | gmem-only slots are not looked at              |
| reclaim takes a page it would keep | it asked such a young hook first               |

Leaves, faults, flushes, bumps and holds are not part of what is compared (fuzz/outcome.py): they
are counted and reported as *benefit*.  The young hooks and reclaim are op results, and are let
through here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fuzz.execution import Run
from fuzz.outcome import final_state, guest_memory, young_leaves
from fuzz.vocabulary import MEM_FLAGS, PAGE, SETUP, Op, Program

YOUNG_OPS: Final = frozenset({"clear_young", "test_young", "clear_flush_young"})
NOT_COMPARED: Final = frozenset({"stat"})  # counters: benefit, see below

# benefit name -> attribute of the model
COUNTERS: Final[Mapping[str, str]] = {
    "faults fixed": "pf_fixed",
    "faults retried": "fault_retries",
    "leaves zapped by notifiers": "notifier_zaps",
    "mmu_lock taken by notifiers": "notifier_locks",
    "remote TLB flushes": "remote_tlb_flush",
    "sequence bumps": "mmu_invalidate_seq",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One visible difference; kind is for fingerprints, where for people."""

    kind: str
    where: str
    reference: str
    patched: str

    def __str__(self) -> str:
        return f"{self.where}: reference {self.reference}, patched {self.patched}"


def differences(
    program: Program, ours: Run, theirs: Run, promises: tuple[str, ...]
) -> list[Difference]:
    """Visible differences between a reference run and a patched run that nobody promised."""
    found: list[Difference] = []
    if ours.results != theirs.results:
        ops = op_names(program)
        for key, old in ours.results.items():
            new = theirs.results.get(key, "did not end")
            if old != new and not promised(program, ops[key], old, new, promises):
                where = f"{key[0]}[{key[1]}] {ops[key].name}"
                found.append(Difference(f"result of {ops[key].name}", where, old, new))
    old_final, new_final = final_state(ours.kvm), final_state(theirs.kvm)
    if old_final != new_final:
        for name in sorted({*old_final, *new_final}):
            before, after = old_final.get(name), new_final.get(name)
            if before != after:
                kind = "final " + name.rstrip("0123456789")
                found.append(Difference(kind, f"final {name}", repr(before), repr(after)))
    for where, value, other in guest_memory(ours.kvm, theirs.kvm):
        if value != other:
            kind = "final guest memory"
            found.append(Difference(kind, f"final {where}", repr(value), repr(other)))
    for where, accessed, other_accessed in young_leaves(ours.kvm, theirs.kvm):
        if accessed != other_accessed:
            kind = "final young bits"
            found.append(Difference(kind, f"final {where}", repr(accessed), repr(other_accessed)))
    return found


def op_names(program: Program) -> dict[tuple[str, int], Op]:
    """Every op of a program by (actor, index)."""
    ops = {(SETUP, i): op for i, op in enumerate(program.setup)}
    for actor in program.actors:
        for i, op in enumerate(actor.ops):
            ops[actor.name, i] = op
    return ops


def promised(program: Program, op: Op, old: str, new: str, promises: tuple[str, ...]) -> bool:
    """Whether a differing result is in the table above."""
    if op.name in NOT_COMPARED:
        return True
    if "gmem-survival" not in promises:
        return False
    aged = op.name in YOUNG_OPS and (old, new) == ("1", "0")
    reclaimed = op.name == "reclaim" and (old, new) == ("EBUSY", "0")
    return (aged or reclaimed) and _covered_by_gmem(program, op.args[0])


def _covered_by_gmem(program: Program, hva: int) -> bool:
    """Whether some set_region of the program puts a guest_memfd slot over an address."""
    for op in op_names(program).values():
        if op.name == "set_region" and op.args[4] & MEM_FLAGS["GUEST_MEMFD"]:
            size, base = op.args[2], op.args[3]
            if base <= hva < base + max(size, PAGE):
                return True
    return False


def benefit(ours: Run, theirs: Run) -> dict[str, tuple[int, int]]:
    """Counters that differ: name -> (reference, patched)."""
    pairs = {
        name: (getattr(ours.kvm, attribute), getattr(theirs.kvm, attribute))
        for name, attribute in COUNTERS.items()
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
