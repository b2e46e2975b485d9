"""What one side of a serial program looks like after each op: what a check can be made of.

Everything here is read from the model's state, not from the words of a broken rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from fuzz.execution import End, Execution, Plan, Run
from fuzz.overlay import Model
from fuzz.search import oracles_for
from fuzz.vocabulary import SETUP, Program
from reference.frames import Frame
from reference.kvm import Kvm
from reference.state import MemorySlot, kvm_memslot_is_gmem_only
from tools.lab.case import Turn
from tools.lab.export.errors import NotExpressibleError
from tools.lab.export.order import in_order

FREED = "freed"  # the frame went back to the allocator, or is another owner's by now
POISONED = "poisoned"
UNSLOTTED = "unslotted"  # no memslot covers the gfn any more
FOREIGN = "foreign"  # a gmem-only slot, and not the page of the file
UNMAPPED = "unmapped"  # an ordinary slot, and not the page that the VMM maps


@dataclass(frozen=True, slots=True)
class BadLeaf:
    """A translation that the guest should not have.

    vcpu: whose TLB holds it; None: it is a leaf.  content: what the guest would read.
    """

    gfn: int
    as_id: int
    l2: bool
    why: str
    vcpu: int | None
    content: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One side after one op.  result: None when the op did not end.  dead: KVM_BUG() happened."""

    result: str | None
    pages_4k: int
    dead: bool
    stale_caches: tuple[int, ...]  # numbers of valid pfn caches on a page that was freed
    bad: tuple[BadLeaf, ...]
    broken: frozenset[tuple[str, str]]  # (rule, site) broken so far


@dataclass(frozen=True, slots=True)
class Observed:
    """One side of a program.  setup, turns: after each op, in order; last: in the end."""

    run: Run
    setup: tuple[Seen, ...]
    turns: tuple[Seen, ...]
    last: Seen

    @property
    def broken(self) -> frozenset[tuple[str, str]]:
        """Every (rule, site) that was broken."""
        return frozenset(self.run.kvm.violations)


class _Eyes:
    """A recorder that keeps, for every op, what there was after its last step."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, int], Seen] = {}
        self.run: Run

    def step(self, kvm: Kvm, actor: str, op: int, label: str) -> None:
        """Look at the model when the op that steps has its result."""
        result = self.run.results.get((actor, op))
        if result is not None:
            self.seen[actor, op] = _look(kvm, result)


def _look(kvm: Kvm, result: str | None) -> Seen:
    return Seen(
        result,
        kvm.pages_4k,
        kvm.dead,
        stale_caches(kvm),
        tuple(bad_leaves(kvm)),
        frozenset(kvm.violations),
    )


def observe(program: Program, order: Sequence[Turn], model: Model) -> Observed:
    """Run the setup, then the turns one after the other, on one model.

    Raises NotExpressibleError for a model that exists in C only.
    """
    serial = in_order(program, order)
    return _observe(serial, [(turn.actor, at) for at, turn in enumerate(order)], model)


def observe_scheduled(program: Program, turns: Sequence[Turn], model: Model) -> Observed:
    """Run a program with its own schedule; raises as observe() does."""
    return _observe(program, [(turn.actor, turn.index) for turn in turns], model)


def _observe(program: Program, keys: Sequence[tuple[str, int]], model: Model) -> Observed:
    if model.c_only:
        raise NotExpressibleError(
            f"{model.name}: this model exists in C only; what a check should see is read from the "
            "Python model, so write the change as an overlay (FILE.py)"
        )
    model = replace(model, runner=None)
    eyes = _Eyes()
    execution = Execution(model.kvm, Plan.of(program), oracles_for(model), eyes)
    eyes.run = execution.run_
    run = execution.run()
    in_the_end = _look(run.kvm, None)
    return Observed(
        run,
        tuple(eyes.seen.get((SETUP, i), in_the_end) for i in range(len(program.setup))),
        tuple(eyes.seen.get(key, in_the_end) for key in keys),
        in_the_end,
    )


def stale_caches(kvm: Kvm) -> tuple[int, ...]:
    """Valid pfn caches whose page went back to the allocator, by number."""
    return tuple(
        gpc.id
        for gpc in kvm.gpc_list
        if gpc.valid
        and gpc.frame is not None
        and (gpc.frame.free or gpc.frame.generation != gpc.frame_generation)
    )


def hangs(observed: Observed) -> bool:
    """Whether the run got stuck."""
    return observed.run.end in (End.DEADLOCK, End.LIVELOCK)


def bad_leaves(kvm: Kvm) -> Iterator[BadLeaf]:
    """Leaves and TLB entries that map what they should not, in the model's order."""
    for root in kvm.roots:
        if root.invalid:
            continue
        for gfn, spte in sorted(root.sptes.items()):
            why = _why(kvm, gfn, root.as_id, spte.frame, spte.generation)
            if why:
                yield BadLeaf(gfn, root.as_id, root.l2, why, None, spte.frame.content)
    for vcpu in kvm.vcpus:
        if not vcpu.sees_tlb():
            continue
        for (gfn, as_id, l2), entry in sorted(vcpu.tlb.items()):
            why = _why(kvm, gfn, as_id, entry.frame, entry.generation)
            if why:
                yield BadLeaf(gfn, as_id, l2, why, vcpu.id, entry.frame.content)


def _why(kvm: Kvm, gfn: int, as_id: int, frame: Frame, generation: int) -> str:
    """What is wrong with a translation; empty when nothing is."""
    if frame.free or frame.generation != generation:
        return FREED
    if frame.poisoned:
        return POISONED
    slot: MemorySlot | None = kvm.gfn_to_memslot(as_id, gfn)
    if slot is None or slot.invalid:
        return UNSLOTTED
    if kvm_memslot_is_gmem_only(slot):
        file = slot.gmem_file
        index = gfn - slot.base_gfn + slot.gmem_pgoff
        return "" if file is None or file.inode.pages.get(index) is frame else FOREIGN
    if slot.gmem_file is None:
        pte = kvm.mm.ptes.get(slot.userspace_addr + gfn - slot.base_gfn)
        return "" if pte is not None and pte.frame is frame else UNMAPPED
    return ""
