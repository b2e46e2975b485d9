"""MMU notifiers: what KVM does when the host process' page tables are about to change.

The primary MMU calls start, changes its PTEs, and calls end.  Between the two, faults in the
range must not install what they looked up before.  Everything is from virt/kvm/kvm_main.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.primitives import Steps, WantMutex, WantWrite
from reference.state import INVALID_GPA, GfnRange, HvaRange, MemorySlot, Memslots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reference.kvm import Kvm

START_COUNT = WantMutex("mn_invalidate_lock", "kvm_mmu_notifier_invalidate_range_start.count")
END_COUNT = WantMutex("mn_invalidate_lock", "kvm_mmu_notifier_invalidate_range_end.count")
HVA_RANGE_LOCK = WantWrite("mmu_lock", "kvm_handle_hva_range.mmu_lock")


def kvm_mmu_invalidate_start(kvm: Kvm) -> None:
    """Mirror of kvm_mmu_invalidate_start() (kvm_mmu_invalidate_begin before 7.0).

    virt/kvm/kvm_main.c.  The hull of ranges is kept until the count is back at zero.
    """
    kvm.mmu_lock.assert_held_write()
    kvm.mmu_invalidate_in_progress += 1
    if kvm.mmu_invalidate_in_progress == 1:
        kvm.mmu_invalidate_range_start = INVALID_GPA
        kvm.mmu_invalidate_range_end = INVALID_GPA
    kvm.watch.invalidation_counted()


def kvm_mmu_invalidate_range_add(kvm: Kvm, start: int, end: int) -> None:
    """Mirror of kvm_mmu_invalidate_range_add(), virt/kvm/kvm_main.c: gfns [start, end)."""
    kvm.mmu_lock.assert_held_write()
    if kvm.mmu_invalidate_in_progress == 0:
        kvm.WARN_ON("kvm_mmu_invalidate_range_add: nothing in progress")
    kvm.watch.range_added(start, end)
    if kvm.mmu_invalidate_range_start == INVALID_GPA:
        kvm.mmu_invalidate_range_start = start
        kvm.mmu_invalidate_range_end = end
    else:
        kvm.mmu_invalidate_range_start = min(kvm.mmu_invalidate_range_start, start)
        kvm.mmu_invalidate_range_end = max(kvm.mmu_invalidate_range_end, end)


def kvm_mmu_invalidate_end(kvm: Kvm) -> None:
    """Mirror of kvm_mmu_invalidate_end(), virt/kvm/kvm_main.c.

    Sequence first, count second: a fault that finds nothing in progress must also find the
    new sequence.
    """
    kvm.mmu_lock.assert_held_write()
    kvm.mmu_invalidate_seq += 1
    kvm.watch.invalidation_ended()
    kvm.mmu_invalidate_in_progress -= 1
    if kvm.mmu_invalidate_in_progress < 0:
        kvm.KVM_BUG_ON("kvm_mmu_invalidate_end: count below zero")
    if kvm.mmu_invalidate_range_start == INVALID_GPA:
        kvm.WARN_ON("kvm_mmu_invalidate_end: start without a range")


def kvm_mmu_unmap_gfn_range(kvm: Kvm, gfn_range: GfnRange) -> Steps[bool]:
    """Mirror of kvm_mmu_unmap_gfn_range(), virt/kvm/kvm_main.c."""
    kvm.kvm_mmu_invalidate_range_add(gfn_range.start, gfn_range.end)
    return (yield from kvm.kvm_unmap_gfn_range(gfn_range))


def kvm_for_each_memslot_in_hva_range(
    kvm: Kvm, slots: Memslots, hva_range: HvaRange
) -> Iterable[MemorySlot]:
    """Mirror of the iterator kvm_for_each_memslot_in_hva_range(), virt/kvm/kvm_main.c.

    The slots of one set whose HVAs meet the range, in the order of the hva tree.
    """
    start, end = hva_range.start, hva_range.end
    found = [
        slot
        for slot in slots.slots.values()
        if slot.userspace_addr < end and start < slot.userspace_addr + slot.npages
    ]
    if len(found) > 1:
        found.sort(key=_hva_order)
    return found


def _hva_order(slot: MemorySlot) -> tuple[int, int]:
    return (slot.userspace_addr, slot.id)


def kvm_handle_hva_range(kvm: Kvm, hva_range: HvaRange) -> Steps[tuple[bool, bool]]:
    """Mirror of kvm_handle_hva_range(), virt/kvm/kvm_main.c.

    Returns (found a memslot, what the handlers said).  mmu_lock is taken at the first hit, so
    a range that meets no memslot costs no lock.
    """
    handler, on_lock, lockless = hva_range.handler, hva_range.on_lock, hva_range.lockless
    if hva_range.end <= hva_range.start:
        kvm.WARN_ON("kvm_handle_hva_range: empty range")
        return False, False
    if handler is None and on_lock is None:
        kvm.WARN_ON("kvm_handle_hva_range: nothing to do")
    if lockless and on_lock is not None:
        kvm.WARN_ON("kvm_handle_hva_range: lockless with on_lock")
    yield "kvm_handle_hva_range.srcu"
    kvm.srcu.read_lock()
    found = ret = False
    for as_id in range(kvm.nr_as):
        slots = kvm.memslots[as_id]
        for slot in kvm.kvm_for_each_memslot_in_hva_range(slots, hva_range):
            gfn_range = kvm.hva_range_to_gfn_range(slot, hva_range)
            if not found:
                found = True
                if not lockless:
                    yield HVA_RANGE_LOCK
                    kvm.mmu_lock.write_lock()
                    kvm.notifier_locks += 1
                    if on_lock is not None:
                        on_lock()
                    if handler is None:
                        break
            assert handler is not None
            ret |= yield from handler(gfn_range)
        if found and handler is None:
            break
    if hva_range.flush_on_ret and ret:
        yield "kvm_handle_hva_range.flush"
        kvm.kvm_flush_remote_tlbs()
    if found and not lockless:
        kvm.mmu_lock.write_unlock()
    kvm.srcu.read_unlock()
    return found, ret


def hva_range_to_gfn_range(kvm: Kvm, slot: MemorySlot, hva_range: HvaRange) -> GfnRange:
    """The clipping inside kvm_handle_hva_range() (virt/kvm/kvm_main.c): HVA pages to gfns."""
    hva_start = max(hva_range.start, slot.userspace_addr)
    hva_end = min(hva_range.end, slot.userspace_addr + slot.npages)
    offset = slot.base_gfn - slot.userspace_addr
    return GfnRange(slot, hva_start + offset, hva_end + offset, hva_range.may_block, from_hva=True)


def kvm_mmu_notifier_invalidate_range_start(
    kvm: Kvm, start: int, end: int, blockable: bool = True
) -> Steps[None]:
    """Mirror of kvm_mmu_notifier_invalidate_range_start(), virt/kvm/kvm_main.c.

    The count of active invalidations comes first, so that memslots stay as they are until
    end; pfn caches come before mmu_lock, because their users may hold their lock for long.
    """
    kvm.current.notifier_depth += 1
    yield START_COUNT
    kvm.mn_invalidate_lock.lock()
    kvm.mn_active_invalidate_count += 1
    kvm.mn_invalidate_lock.unlock()
    yield from kvm.gfn_to_pfn_cache_invalidate_start(start, end)
    kvm.watch.gpc_side_done(start, end)
    yield from kvm.kvm_handle_hva_range(
        HvaRange(
            "start",
            start,
            end,
            handler=kvm.kvm_mmu_unmap_gfn_range,
            on_lock=kvm.kvm_mmu_invalidate_start,
            flush_on_ret=True,
            may_block=blockable,
        )
    )
    kvm.current.notifier_depth -= 1
    kvm.watch.range_start_returned(start, end)


def kvm_mmu_notifier_invalidate_range_end(kvm: Kvm, start: int, end: int) -> Steps[None]:
    """Mirror of kvm_mmu_notifier_invalidate_range_end(), virt/kvm/kvm_main.c."""
    kvm.current.notifier_depth += 1
    yield from kvm.kvm_handle_hva_range(
        HvaRange("end", start, end, handler=None, on_lock=kvm.kvm_mmu_invalidate_end)
    )
    yield END_COUNT
    kvm.mn_invalidate_lock.lock()
    if kvm.features["gpc_invalidate_seq"]:
        kvm.gpc_invalidate_seq += 1
    if kvm.mn_active_invalidate_count == 0:
        kvm.WARN_ON("kvm_mmu_notifier_invalidate_range_end: no start")
    kvm.mn_active_invalidate_count -= 1
    wake = kvm.mn_active_invalidate_count == 0
    kvm.mn_invalidate_lock.unlock()
    if wake:
        kvm.mn_memslots_update_rcuwait.wake_up()
    kvm.current.notifier_depth -= 1


def kvm_mmu_notifier_clear_flush_young(kvm: Kvm, start: int, end: int) -> Steps[bool]:
    """Mirror of kvm_mmu_notifier_clear_flush_young(), virt/kvm/kvm_main.c.

    x86 walks without mmu_lock and never flushes; arm64 holds it and flushes when young.
    """
    return (yield from kvm.kvm_age_hva_range(start, end, kvm.kvm_age_gfn, flush=not kvm.x86))


def kvm_mmu_notifier_clear_young(kvm: Kvm, start: int, end: int) -> Steps[bool]:
    """Mirror of kvm_mmu_notifier_clear_young(), virt/kvm/kvm_main.c."""
    return (yield from kvm.kvm_age_hva_range(start, end, kvm.kvm_age_gfn, flush=False))


def kvm_mmu_notifier_test_young(kvm: Kvm, address: int) -> Steps[bool]:
    """Mirror of kvm_mmu_notifier_test_young(), virt/kvm/kvm_main.c: looks at one page."""
    return (
        yield from kvm.kvm_age_hva_range(address, address + 1, kvm.kvm_test_age_gfn, flush=False)
    )


def kvm_age_hva_range(
    kvm: Kvm, start: int, end: int, handler: Callable[[GfnRange], Steps[bool]], flush: bool
) -> Steps[bool]:
    """Mirror of kvm_age_hva_range(), virt/kvm/kvm_main.c."""
    kvm.current.notifier_depth += 1
    _, young = yield from kvm.kvm_handle_hva_range(
        HvaRange(
            "young",
            start,
            end,
            handler=handler,
            flush_on_ret=flush,
            lockless=kvm.x86,
        )
    )
    kvm.current.notifier_depth -= 1
    return young


def kvm_mmu_notifier_release(kvm: Kvm) -> Steps[None]:
    """Mirror of kvm_mmu_notifier_release(), virt/kvm/kvm_main.c: exit_mmap() begins."""
    yield "kvm_mmu_notifier_release.srcu"
    kvm.srcu.read_lock()
    yield from kvm.kvm_flush_shadow_all()
    kvm.srcu.read_unlock()


def mmu_invalidate_retry_gfn(kvm: Kvm, mmu_seq: int, gfn: int) -> bool:
    """Mirror of mmu_invalidate_retry_gfn(), include/linux/kvm_host.h."""
    if kvm.mmu_invalidate_in_progress:
        if kvm.mmu_invalidate_range_start == INVALID_GPA:
            kvm.WARN_ON("mmu_invalidate_retry_gfn: in progress without a range")
            return True
        if kvm.mmu_invalidate_range_start <= gfn < kvm.mmu_invalidate_range_end:
            return True
    return kvm.mmu_invalidate_seq != mmu_seq


def mmu_invalidate_retry(kvm: Kvm, mmu_seq: int) -> bool:
    """Mirror of mmu_invalidate_retry(), include/linux/kvm_host.h: any range counts (arm64)."""
    return kvm.mmu_invalidate_in_progress > 0 or kvm.mmu_invalidate_seq != mmu_seq
