"""The objects a VM is made of: slots, leaves, roots, vCPUs, faults, ranges, pfn caches.

Field names are the kernel's (struct kvm, struct kvm_memory_slot, ...; include/linux/kvm_host.h).
Addresses are page numbers unless a name says bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.frames import Frame
from reference.gmem_types import GmemFile
from reference.primitives import (
    RANK_GPC,
    RANK_GPC_REFRESH,
    Cpu,
    Mutex,
    RwLock,
    Steps,
    Task,
)
from reference.uapi import (
    KVM_MEM_GUEST_MEMFD,
    KVM_MEMSLOT_GMEM_ONLY,
    KVM_MEMSLOT_INVALID,
)

if TYPE_CHECKING:
    from collections.abc import Callable

INVALID_GPA = -1  # an mmu_invalidate_range_{start,end} that holds no range

# vcpu->mode
OUTSIDE_GUEST_MODE = 0
IN_GUEST_MODE = 1

# vcpu->requests
KVM_REQ_TLB_FLUSH = 1
KVM_REQ_MMU_FREE_OBSOLETE_ROOTS = 2
KVM_REQ_TLB_FLUSH_GUEST = 4


class MemorySlot:
    """struct kvm_memory_slot."""

    __slots__ = (
        "as_id",
        "base_gfn",
        "dirty_bitmap",
        "flags",
        "freed",
        "gmem_file",
        "gmem_pgoff",
        "id",
        "npages",
        "userspace_addr",
    )

    def __init__(self, slot_id: int, as_id: int) -> None:
        self.id = slot_id
        self.as_id = as_id
        self.base_gfn = 0
        self.npages = 0
        self.flags = 0
        self.userspace_addr = 0
        self.dirty_bitmap: set[int] | None = None  # relative gfns; None: not logged
        self.gmem_file: GmemFile | None = None
        self.gmem_pgoff = 0
        self.freed = False  # kfree()d: nobody may use it any more

    def copy(self) -> MemorySlot:
        """A copy with the same fields (the bitmap is shared, as in the kernel)."""
        new = MemorySlot(self.id, self.as_id)
        new.base_gfn = self.base_gfn
        new.npages = self.npages
        new.flags = self.flags
        new.userspace_addr = self.userspace_addr
        new.dirty_bitmap = self.dirty_bitmap
        new.gmem_file = self.gmem_file
        new.gmem_pgoff = self.gmem_pgoff
        return new

    def __repr__(self) -> str:
        return f"slot{self.id}" + (f"@as{self.as_id}" if self.as_id else "")

    @property
    def invalid(self) -> bool:
        return bool(self.flags & KVM_MEMSLOT_INVALID)


def kvm_slot_has_gmem(slot: MemorySlot) -> bool:
    """Mirror of kvm_slot_has_gmem(), include/linux/kvm_host.h."""
    return slot.flags & KVM_MEM_GUEST_MEMFD != 0


def kvm_memslot_is_gmem_only(slot: MemorySlot) -> bool:
    """Mirror of kvm_memslot_is_gmem_only(), include/linux/kvm_host.h."""
    return slot.flags & KVM_MEMSLOT_GMEM_ONLY != 0


class Memslots:
    """struct kvm_memslots: one of the two sets of an address space."""

    __slots__ = ("generation", "slots")

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.slots: dict[int, MemorySlot] = {}


class Spte:
    """A present leaf: a 4K SPTE, or an arm64 stage-2 PTE."""

    __slots__ = (
        "accessed",
        "frame",
        "generation",
        "host_writable",
        "prefetched",
        "writable",
    )

    def __init__(self, frame: Frame, writable: bool, prefetched: bool) -> None:
        self.frame = frame
        self.generation = frame.generation  # of the frame, when the leaf was made
        self.writable = writable
        self.host_writable = writable  # may be made writable again without a new pfn
        self.accessed = not prefetched
        self.prefetched = prefetched


class Root:
    """A paging structure: leaves by gfn.

    kind is "tdp" for the TDP MMU, "shadow" for pages that the shadow MMU manages (the legacy
    direct MMU included), "s2" for arm64.  l2 says that it serves a nested guest.
    """

    __slots__ = ("as_id", "invalid", "kind", "l2", "sptes", "tables")

    def __init__(self, kind: str, as_id: int, l2: bool) -> None:
        self.kind = kind
        self.as_id = as_id
        self.l2 = l2
        self.invalid = False  # role.invalid, or an obsolete mmu_valid_gen
        self.sptes: dict[int, Spte] = {}
        self.tables = False  # more than the root itself was ever made


class TlbEntry:
    """A cached translation, which lives until it is flushed, whatever memory says."""

    __slots__ = ("frame", "generation", "writable")

    def __init__(self, frame: Frame, generation: int, writable: bool) -> None:
        self.frame = frame
        self.generation = generation
        self.writable = writable


class Vcpu:
    """struct kvm_vcpu, with the TLB of the processor it runs on.

    tlb keys are (gfn, as_id, l2).
    """

    __slots__ = ("id", "mode", "requests", "roots", "task", "tlb")

    def __init__(self, vcpu_id: int) -> None:
        self.id = vcpu_id
        self.mode = OUTSIDE_GUEST_MODE
        self.requests = 0
        self.roots: dict[tuple[int, bool], Root] = {}
        self.tlb: dict[tuple[int, int, bool], TlbEntry] = {}
        self.task: Task | None = None

    def sees_tlb(self) -> bool:
        """False when a flush is pending that comes before the next guest instruction."""
        return not self.requests & (KVM_REQ_TLB_FLUSH | KVM_REQ_MMU_FREE_OBSOLETE_ROOTS)


class Fault:
    """struct kvm_page_fault."""

    __slots__ = (
        "as_id",
        "frame",
        "generation",
        "gfn",
        "is_private",
        "l2",
        "map_writable",
        "mmu_seq",
        "pfn_clock",
        "prefetch",
        "slot",
        "vcpu",
        "write",
    )

    def __init__(self, vcpu: Vcpu, gfn: int, write: bool, as_id: int, l2: bool) -> None:
        self.vcpu = vcpu
        self.gfn = gfn
        self.write = write
        self.as_id = as_id
        self.l2 = l2
        self.prefetch = False
        self.is_private = False
        self.slot: MemorySlot | None = None
        self.mmu_seq = 0
        self.frame: Frame | None = None
        self.generation = 0
        self.map_writable = False
        self.pfn_clock = 0  # ghost: how many invalidations had ended when the pfn was read


class GfnRange:
    """struct kvm_gfn_range: gfns [start, end) of one slot."""

    __slots__ = ("end", "from_hva", "may_block", "slot", "start")

    def __init__(
        self, slot: MemorySlot, start: int, end: int, may_block: bool, from_hva: bool
    ) -> None:
        self.slot = slot
        self.start = start
        self.end = end
        self.may_block = may_block
        self.from_hva = from_hva


class HvaRange:
    """struct kvm_mmu_notifier_range: HVA pages [start, end), and what to do for each slot."""

    __slots__ = (
        "end",
        "flush_on_ret",
        "handler",
        "lockless",
        "may_block",
        "name",
        "on_lock",
        "start",
    )

    def __init__(
        self,
        name: str,
        start: int,
        end: int,
        handler: Callable[[GfnRange], Steps[bool]] | None,
        on_lock: Callable[[], None] | None = None,
        flush_on_ret: bool = False,
        may_block: bool = False,
        lockless: bool = False,
    ) -> None:
        self.name = name
        self.start = start
        self.end = end
        self.handler = handler
        self.on_lock = on_lock
        self.flush_on_ret = flush_on_ret
        self.may_block = may_block
        self.lockless = lockless


class GfnToPfnCache:
    """struct gfn_to_pfn_cache, include/linux/kvm_types.h; uhva is a page number."""

    __slots__ = (
        "active",
        "frame",
        "frame_generation",
        "generation",
        "gpa",
        "id",
        "listed",
        "lock",
        "memslot",
        "refresh_lock",
        "uhva",
        "valid",
    )

    def __init__(self, cpu: Cpu, gpc_id: int) -> None:
        self.id = gpc_id
        self.refresh_lock = Mutex(cpu, "gpc.refresh_lock", RANK_GPC_REFRESH)
        self.lock = RwLock(cpu, "gpc.lock", RANK_GPC)
        self.active = False
        self.valid = False
        self.listed = False
        self.gpa = INVALID_GPA
        self.uhva = -1
        self.memslot: MemorySlot | None = None
        self.generation = 0
        self.frame: Frame | None = None
        self.frame_generation = 0
