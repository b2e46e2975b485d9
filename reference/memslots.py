"""Memory slots: the ioctls that create, move, re-flag and delete them.

Two sets per address space; the active one is read under SRCU, the other is edited and then
swapped in.  A slot that goes away is first published as INVALID, so that no new user can find
it, and only then flushed and freed.  Everything is from virt/kvm/kvm_main.c unless it says
otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reference.primitives import Steps, WantMutex
from reference.srcu import WantWakeUp
from reference.state import MemorySlot, Memslots
from reference.uapi import (
    EEXIST,
    EFAULT,
    EINVAL,
    ENOMEM,
    KVM_MEM_GUEST_MEMFD,
    KVM_MEM_LOG_DIRTY_PAGES,
    KVM_MEM_MAX_NR_PAGES,
    KVM_MEM_READONLY,
    KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS,
    KVM_MEMSLOT_GMEM_ONLY,
    KVM_MEMSLOT_INVALID,
    MAX_GFN_ARM64,
    MAX_GFN_X86,
    PAGE_MASK,
    PAGE_SHIFT,
    TASK_SIZE,
    U64,
)

if TYPE_CHECKING:
    from reference.kvm import Kvm

BITMAP_PAGES_MAX: Final = 1 << 16

# enum kvm_mr_change
CREATE: Final = "CREATE"
DELETE: Final = "DELETE"
MOVE: Final = "MOVE"
FLAGS_ONLY: Final = "FLAGS_ONLY"

SLOTS_LOCK = WantMutex("slots_lock", "kvm_vm_ioctl_set_memory_region.slots_lock")
ARCH_LOCK = WantMutex("slots_arch_lock", "kvm_set_memslot.slots_arch_lock")
ARCH_RELOCK = WantMutex("slots_arch_lock", "kvm_invalidate_memslot.slots_arch_lock")
SWAP_LOCK = WantMutex("mn_invalidate_lock", "kvm_swap_active_memslots.mn_invalidate_lock")


class UserRegion:
    """struct kvm_userspace_memory_region2, in bytes; fd is a key of kvm.fds or negative."""

    __slots__ = ("as_id", "fd", "flags", "gpa", "hva", "offset", "size", "slot")

    def __init__(
        self, slot: int, as_id: int, flags: int, gpa: int, size: int, hva: int, fd: int, offset: int
    ) -> None:
        self.slot = slot
        self.as_id = as_id
        self.flags = flags
        self.gpa = gpa
        self.size = size
        self.hva = hva
        self.fd = fd
        self.offset = offset


def kvm_vm_ioctl_set_memory_region(kvm: Kvm, mem: UserRegion, version: int) -> Steps[int]:
    """Mirror of kvm_vm_ioctl_set_memory_region() and its ioctl case, virt/kvm/kvm_main.c."""
    if kvm.take_failure("user_copy"):
        return -EFAULT
    if version == 1 and mem.flags & ~(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY):
        return -EINVAL
    if mem.slot & 0xFFFF >= kvm.user_mem_slots():
        return -EINVAL
    yield SLOTS_LOCK
    kvm.slots_lock.lock()
    kvm.watch.lock_slots("slots_lock")
    result = yield from kvm.kvm_set_memory_region(mem)
    kvm.slots_lock.unlock()
    return result


def check_memory_region_flags(kvm: Kvm, flags: int) -> int:
    """Mirror of check_memory_region_flags(), virt/kvm/kvm_main.c."""
    valid = KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_GUEST_MEMFD
    if flags & KVM_MEM_GUEST_MEMFD:
        valid &= ~KVM_MEM_LOG_DIRTY_PAGES
    else:
        valid |= KVM_MEM_READONLY
    return -EINVAL if flags & ~valid else 0


def check_region_layout(kvm: Kvm, mem: UserRegion) -> int:
    """The checks of kvm_set_memory_region() that look at no slot, in its order (kvm_main.c)."""
    if kvm.check_memory_region_flags(mem.flags):
        return -EINVAL
    if mem.size & PAGE_MASK or mem.gpa & PAGE_MASK or mem.hva & PAGE_MASK:
        return -EINVAL
    if mem.hva + mem.size > TASK_SIZE:  # access_ok(), and tagged addresses
        return -EINVAL
    if mem.flags & KVM_MEM_GUEST_MEMFD and (mem.offset & PAGE_MASK or mem.offset + mem.size > U64):
        return -EINVAL
    if mem.as_id + (mem.slot >> 16) >= kvm.nr_as:
        return -EINVAL
    if mem.gpa + mem.size > U64:
        return -EINVAL
    if mem.size >> PAGE_SHIFT > KVM_MEM_MAX_NR_PAGES:
        return -EINVAL
    return 0


def kvm_set_memory_region(kvm: Kvm, mem: UserRegion) -> Steps[int]:
    """Mirror of kvm_set_memory_region() (__kvm_set_memory_region), virt/kvm/kvm_main.c."""
    result = kvm.check_region_layout(mem)
    if result:
        return result
    as_id = mem.as_id + (mem.slot >> 16)
    slot_id = mem.slot & 0xFFFF
    old = kvm.memslots[as_id].slots.get(slot_id)
    npages = mem.size >> PAGE_SHIFT
    if npages == 0:
        if old is None:
            return -EINVAL
        return (yield from kvm.kvm_set_memslot(old, None, DELETE))

    base_gfn = mem.gpa >> PAGE_SHIFT
    if old is None:
        change = CREATE
        if kvm.nr_memslot_pages + npages > U64:
            return -EINVAL
    else:
        kind = _kind_of_change(kvm, old, mem, npages, base_gfn)
        if isinstance(kind, int):
            return kind
        change = kind
    if change in (CREATE, MOVE) and kvm.kvm_check_memslot_overlap(
        as_id, slot_id, base_gfn, base_gfn + npages
    ):
        return -EEXIST
    if kvm.take_failure("memslot"):
        return -ENOMEM
    new = MemorySlot(slot_id, as_id)
    new.base_gfn = base_gfn
    new.npages = npages
    new.flags = mem.flags
    new.userspace_addr = mem.hva >> PAGE_SHIFT
    file = None
    if mem.flags & KVM_MEM_GUEST_MEMFD:
        file, result = yield from kvm.kvm_gmem_prepare(new, mem.fd, mem.offset)
        if result:
            return result
    result = yield from kvm.kvm_set_memslot(old, new, change)
    if result and not kvm.features["gmem_bind_in_commit"]:
        yield from kvm.kvm_gmem_unbind(new)
    if file is not None:
        kvm.fput(file)
    return result


def _kind_of_change(
    kvm: Kvm, old: MemorySlot, mem: UserRegion, npages: int, base_gfn: int
) -> str | int:
    """Which change a set call on a live slot is: a kind, or 0 (nothing) or an errno."""
    if mem.flags & KVM_MEM_GUEST_MEMFD:
        return -EINVAL
    frozen = KVM_MEM_READONLY
    if kvm.features["gmem_toggle_refused"]:
        frozen |= KVM_MEM_GUEST_MEMFD
    if mem.hva >> PAGE_SHIFT != old.userspace_addr or npages != old.npages:
        return -EINVAL
    if (mem.flags ^ old.flags) & frozen:
        return -EINVAL
    if base_gfn != old.base_gfn:
        return MOVE
    return FLAGS_ONLY if mem.flags != old.flags else 0


def kvm_check_memslot_overlap(kvm: Kvm, as_id: int, slot_id: int, start: int, end: int) -> bool:
    """Mirror of kvm_check_memslot_overlap(), virt/kvm/kvm_main.c."""
    return any(
        slot.id != slot_id and slot.base_gfn < end and start < slot.base_gfn + slot.npages
        for slot in kvm.memslots[as_id].slots.values()
    )


def kvm_set_memslot(
    kvm: Kvm, old: MemorySlot | None, new: MemorySlot | None, change: str
) -> Steps[int]:
    """Mirror of kvm_set_memslot(), virt/kvm/kvm_main.c.

    slots_arch_lock is dropped inside every swap, before the wait for SRCU.
    """
    yield ARCH_LOCK
    kvm.slots_arch_lock.lock()
    kvm.watch.lock_slots("slots_arch_lock")
    invalid_slot = None
    if change in (DELETE, MOVE):
        assert old is not None
        if kvm.take_failure("memslot"):
            kvm.slots_arch_lock.unlock()
            return -ENOMEM
        invalid_slot = MemorySlot(old.id, old.as_id)
        yield from kvm.kvm_invalidate_memslot(old, invalid_slot)
    result = kvm.kvm_prepare_memory_region(old, new, change)
    if not result and change == CREATE and kvm.features["gmem_bind_in_commit"]:
        assert new is not None
        if new.flags & KVM_MEM_GUEST_MEMFD:
            result = yield from kvm.kvm_gmem_bind(new)
    if result:
        if invalid_slot is not None:
            yield from kvm.kvm_activate_memslot(invalid_slot, old)
        else:
            kvm.slots_arch_lock.unlock()
        return result
    if change in (CREATE, FLAGS_ONLY):
        yield from kvm.kvm_replace_and_activate(old, old, new)
    else:  # the active set holds the INVALID copy, the other one still the old slot
        yield from kvm.kvm_replace_and_activate(old, invalid_slot, new)
    if invalid_slot is not None:
        invalid_slot.freed = True
    yield from kvm.kvm_commit_memory_region(old, new, change)
    return 0


def kvm_replace_memslot(kvm: Kvm, old: MemorySlot | None, new: MemorySlot | None) -> None:
    """Mirror of kvm_replace_memslot(), virt/kvm/kvm_main.c: edits the inactive set."""
    slot = old if old is not None else new
    if slot is None:
        kvm.WARN_ON("kvm_replace_memslot: neither old nor new")
        return
    if old is not None and new is not None and old.as_id != new.as_id:
        kvm.WARN_ON("kvm_replace_memslot: address spaces differ")
    inactive = kvm.kvm_get_inactive_memslots(slot.as_id)
    if old is not None:
        inactive.slots.pop(old.id, None)
    if new is not None:
        if any(s.base_gfn == new.base_gfn for s in inactive.slots.values()):
            kvm.BUG("kvm_insert_gfn_node: two slots with one base_gfn")
        inactive.slots[new.id] = new


def kvm_replace_and_activate(
    kvm: Kvm, stale: MemorySlot | None, active: MemorySlot | None, new: MemorySlot | None
) -> Steps[None]:
    """What kvm_create_memslot(), kvm_delete_memslot(), kvm_move_memslot() and
    kvm_update_flags_memslot() of virt/kvm/kvm_main.c have in common.

    The inactive set holds `stale`, the active one `active`; both end up with `new`.
    """
    kvm.kvm_replace_memslot(stale, new)
    yield from kvm.kvm_activate_memslot(active, new)


def kvm_invalidate_memslot(kvm: Kvm, old: MemorySlot, invalid_slot: MemorySlot) -> Steps[None]:
    """Mirror of kvm_invalidate_memslot(), virt/kvm/kvm_main.c.

    Once the swap has waited for SRCU, nobody can install a translation for the slot: the
    flush that follows is therefore the last one it needs.
    """
    copied = old.copy()
    for name in ("base_gfn", "npages", "userspace_addr", "dirty_bitmap", "gmem_file", "gmem_pgoff"):
        setattr(invalid_slot, name, getattr(copied, name))
    invalid_slot.flags = old.flags | KVM_MEMSLOT_INVALID
    kvm.kvm_replace_memslot(old, invalid_slot)
    yield from kvm.kvm_swap_active_memslots(old.as_id)
    yield from kvm.kvm_arch_flush_shadow_memslot(old)
    yield ARCH_RELOCK
    kvm.slots_arch_lock.lock()
    kvm.watch.lock_slots("slots_arch_lock")


def kvm_activate_memslot(kvm: Kvm, old: MemorySlot | None, new: MemorySlot | None) -> Steps[None]:
    """Mirror of kvm_activate_memslot(), virt/kvm/kvm_main.c: swap, then edit the other set."""
    slot = old if old is not None else new
    assert slot is not None
    as_id = slot.as_id
    yield from kvm.kvm_swap_active_memslots(as_id)
    kvm.kvm_replace_memslot(old, new)


def kvm_swap_active_memslots(kvm: Kvm, as_id: int) -> Steps[None]:
    """Mirror of kvm_swap_active_memslots(), virt/kvm/kvm_main.c.

    Waits until no HVA invalidation is between start and end: start and end of one
    invalidation must see the same slots.
    """
    slots = kvm.kvm_get_inactive_memslots(as_id)
    active = kvm.memslots[as_id]
    generation = active.generation
    if generation & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS:
        kvm.WARN_ON("kvm_swap_active_memslots: generation in progress")
    slots.generation = generation | KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS
    yield SWAP_LOCK
    kvm.mn_invalidate_lock.lock()
    wait = kvm.mn_memslots_update_rcuwait
    if kvm.mn_active_invalidate_count:
        wait.prepare()
        while kvm.mn_active_invalidate_count:
            wait.woken = False  # set_current_state(TASK_UNINTERRUPTIBLE)
            kvm.mn_invalidate_lock.unlock()
            yield WantWakeUp(wait, "kvm_swap_active_memslots.rcuwait")
            yield SWAP_LOCK
            kvm.mn_invalidate_lock.lock()
        wait.finish()
    kvm.watch.slots_published(as_id, generation, slots.generation)
    kvm.memslots[as_id] = slots
    kvm.mn_invalidate_lock.unlock()
    # Dropped before the wait: a reader may need it to reach the end of its section.
    kvm.slots_arch_lock.unlock()
    yield kvm.srcu.synchronize("kvm_swap_active_memslots.synchronize_srcu")
    slots.generation = generation + kvm.nr_as


def kvm_get_inactive_memslots(kvm: Kvm, as_id: int) -> Memslots:
    """Mirror of kvm_get_inactive_memslots(), virt/kvm/kvm_main.c."""
    first, second = kvm.memslot_sets[as_id]
    return second if kvm.memslots[as_id] is first else first


def kvm_prepare_memory_region(
    kvm: Kvm, old: MemorySlot | None, new: MemorySlot | None, change: str
) -> int:
    """Mirror of kvm_prepare_memory_region(), virt/kvm/kvm_main.c, and its arch half."""
    if change == DELETE or new is None:
        return 0
    if not new.flags & KVM_MEM_LOG_DIRTY_PAGES:
        new.dirty_bitmap = None
    elif old is not None and old.dirty_bitmap is not None:
        new.dirty_bitmap = old.dirty_bitmap
    else:
        # Assumption: a bitmap of more than BITMAP_PAGES_MAX pages cannot be allocated.
        if kvm.take_failure("bitmap") or new.npages > BITMAP_PAGES_MAX:
            return -ENOMEM
        new.dirty_bitmap = set(range(new.npages)) if kvm.dirty_log_initially_set else set()
    return kvm.kvm_arch_prepare_memory_region(old, new, change)


def kvm_arch_prepare_memory_region(
    kvm: Kvm, old: MemorySlot | None, new: MemorySlot, change: str
) -> int:
    """Mirror of kvm_arch_prepare_memory_region(), arch/x86/kvm/x86.c and arch/arm64/kvm/mmu.c."""
    end = new.base_gfn + new.npages
    if kvm.x86:
        if change not in (CREATE, MOVE):
            return 0
        if end - 1 > MAX_GFN_X86:
            return -EINVAL
        return -ENOMEM if kvm.take_failure("metadata") else 0
    if end > MAX_GFN_ARM64 + 1:
        return -EFAULT
    if new.gmem_file is not None and not new.flags & KVM_MEMSLOT_GMEM_ONLY:
        return -EINVAL
    return 0


def kvm_commit_memory_region(
    kvm: Kvm, old: MemorySlot | None, new: MemorySlot | None, change: str
) -> Steps[None]:
    """Mirror of kvm_commit_memory_region(), virt/kvm/kvm_main.c."""
    if change == CREATE:
        assert new is not None
        kvm.nr_memslot_pages += new.npages
    elif old is not None and change == DELETE:
        if kvm.nr_memslot_pages < old.npages:
            kvm.WARN_ON("kvm_commit_memory_region: more pages deleted than there were")
        kvm.nr_memslot_pages -= old.npages
    if change == FLAGS_ONLY and old is not None and new is not None:
        yield from kvm.kvm_mmu_slot_apply_flags(old, new)
    if old is None:
        return
    if change == DELETE:
        yield from kvm.kvm_gmem_unbind(old)
    elif old.flags & KVM_MEM_GUEST_MEMFD and kvm.features["gmem_commit_warns"]:
        kvm.WARN_ON(f"kvm_commit_memory_region: {change} of a gmem slot")
        yield from kvm.kvm_gmem_unbind(old)
    if change in (DELETE, MOVE):
        kvm.watch.slot_deleted(old)
    old.freed = True
