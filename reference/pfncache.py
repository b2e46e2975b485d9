"""gfn_to_pfn caches: KVM's own mapped pages of guest memory.  virt/kvm/pfncache.c.

A valid cache holds no reference to its page.  It stays right because range_start clears
`valid` of every cache in its range, and because a refresh that overlaps an invalidation starts
over.  A gpa-based cache goes through the slot's HVA, also for a gmem-only slot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.frames import put_page, read_frame, write_frame
from reference.primitives import Retry, Steps, WantLock, WantMutex
from reference.state import INVALID_GPA, GfnToPfnCache
from reference.uapi import (
    EFAULT,
    EINVAL,
    EIO,
    EOPNOTSUPP,
    KVM_MEM_READONLY,
    PAGE_MASK,
    PAGE_SHIFT,
    PAGE_SIZE,
    TASK_SIZE,
    U64,
)

if TYPE_CHECKING:
    from reference.kvm import Kvm

LIST_ADD = WantMutex("gpc_lock", "kvm_gpc_activate.gpc_lock")
LIST_DEL = WantMutex("gpc_lock", "kvm_gpc_deactivate.gpc_lock")
INVALIDATE = WantMutex("gpc_lock", "gfn_to_pfn_cache_invalidate_start.gpc_lock")
AGAIN = Retry("hva_to_pfn_retry.again")


def gpc_of(kvm: Kvm, number: int) -> GfnToPfnCache:
    """The program's cache with this number; kvm_gpc_init(), virt/kvm/pfncache.c, on first use."""
    gpc = kvm.gpcs.get(number)
    if gpc is None:
        gpc = kvm.gpcs[number] = GfnToPfnCache(kvm.cpu, number)
    return gpc


def gfn_to_pfn_cache_invalidate_start(kvm: Kvm, start: int, end: int) -> Steps[None]:
    """Mirror of gfn_to_pfn_cache_invalidate_start(), virt/kvm/pfncache.c; HVA pages [start, end).

    A read-side look first, then again under the write lock, which waits for users.
    """
    if not kvm.gpc_list:
        return
    yield INVALIDATE
    kvm.gpc_lock.lock()
    for gpc in kvm.gpc_list:
        if not (gpc.valid and start <= gpc.uhva < end):
            continue
        yield WantLock(gpc.lock, "gfn_to_pfn_cache_invalidate_start.write")
        gpc.lock.write_lock()
        if gpc.valid and start <= gpc.uhva < end:
            gpc.valid = False
        gpc.lock.write_unlock()
    kvm.gpc_lock.unlock()


def kvm_gpc_activate(kvm: Kvm, number: int, gpa: int) -> Steps[int]:
    """Mirror of kvm_gpc_activate(), virt/kvm/pfncache.c; gpa in bytes, one page long."""
    if not kvm.features["gpc"]:
        return -EOPNOTSUPP
    if gpa == U64:  # INVALID_GPA, which means a cache by user address
        kvm.WARN_ON("kvm_gpc_activate: INVALID_GPA")
        return -EINVAL
    if gpa & PAGE_MASK:  # kvm_gpc_is_valid_len(): it would reach into the next page
        return -EINVAL
    gpc = kvm.gpc_of(number)
    return (yield from kvm._kvm_gpc_activate(gpc, gpa >> PAGE_SHIFT, -1))


def kvm_gpc_activate_hva(kvm: Kvm, number: int, hva: int) -> Steps[int]:
    """Mirror of kvm_gpc_activate_hva(), virt/kvm/pfncache.c."""
    if not kvm.features["gpc"]:
        return -EOPNOTSUPP
    if hva + PAGE_SIZE > TASK_SIZE or hva & PAGE_MASK:
        return -EINVAL
    gpc = kvm.gpc_of(number)
    return (yield from kvm._kvm_gpc_activate(gpc, INVALID_GPA, hva >> PAGE_SHIFT))


def _kvm_gpc_activate(kvm: Kvm, gpc: GfnToPfnCache, gpa: int, uhva: int) -> Steps[int]:
    """Mirror of __kvm_gpc_activate(), virt/kvm/pfncache.c: listed before it is active."""
    yield WantLock(gpc.refresh_lock, "kvm_gpc_activate.refresh_lock")
    gpc.refresh_lock.lock()
    if not gpc.active:
        if gpc.valid:
            kvm.KVM_BUG_ON("__kvm_gpc_activate: valid before activation")
            gpc.refresh_lock.unlock()
            return -EIO
        yield LIST_ADD
        kvm.gpc_lock.lock()
        kvm.gpc_list.append(gpc)
        kvm.gpc_lock.unlock()
        yield WantLock(gpc.lock, "kvm_gpc_activate.active")
        gpc.lock.write_lock()
        gpc.active = True
        gpc.lock.write_unlock()
    result = yield from kvm._kvm_gpc_refresh(gpc, gpa, uhva)
    gpc.refresh_lock.unlock()
    return result


def kvm_gpc_refresh(kvm: Kvm, gpc: GfnToPfnCache) -> Steps[int]:
    """Mirror of kvm_gpc_refresh(), virt/kvm/pfncache.c."""
    yield WantLock(gpc.refresh_lock, "kvm_gpc_refresh.refresh_lock")
    gpc.refresh_lock.lock()
    result = yield from kvm._kvm_gpc_refresh(gpc, gpc.gpa, gpc.uhva)
    gpc.refresh_lock.unlock()
    return result


def _kvm_gpc_refresh(kvm: Kvm, gpc: GfnToPfnCache, gpa: int, uhva: int) -> Steps[int]:
    """Mirror of __kvm_gpc_refresh(), virt/kvm/pfncache.c.

    gpa INVALID_GPA means that the cache is by user address.
    """
    yield WantLock(gpc.lock, "__kvm_gpc_refresh.lock")
    gpc.lock.write_lock()
    if not gpc.active:
        gpc.lock.write_unlock()
        return -EINVAL
    old_uhva = gpc.uhva
    if gpa == INVALID_GPA:
        gpc.gpa, gpc.memslot, gpc.uhva = INVALID_GPA, None, uhva
    elif gpc.gpa != gpa or gpc.generation != kvm.memslots[0].generation or gpc.uhva < 0:
        gpc.gpa = gpa
        gpc.generation = kvm.memslots[0].generation
        slot = gpc.memslot = kvm.gfn_to_memslot(0, gpa)
        if slot is None or slot.invalid or slot.flags & KVM_MEM_READONLY:
            gpc.uhva = -1
            gpc.valid = False
            gpc.frame = None
            gpc.lock.write_unlock()
            return -EFAULT
        gpc.uhva = slot.userspace_addr + gpa - slot.base_gfn
    if gpc.valid and gpc.uhva == old_uhva:
        gpc.lock.write_unlock()
        return 0
    result = yield from kvm.hva_to_pfn_retry(gpc)
    if result:
        gpc.valid = False
        gpc.frame = None
    gpc.lock.write_unlock()
    return result


def gpc_seq(kvm: Kvm) -> int:
    """The sequence that a refresh watches: see hva_to_pfn_retry(), virt/kvm/pfncache.c."""
    return kvm.gpc_invalidate_seq if kvm.features["gpc_invalidate_seq"] else kvm.mmu_invalidate_seq


def mmu_notifier_retry_cache(kvm: Kvm, seq: int) -> bool:
    """Mirror of mmu_notifier_retry_cache(), virt/kvm/pfncache.c: was there any invalidation?"""
    return kvm.mn_active_invalidate_count != 0 or kvm.gpc_seq() != seq


def hva_to_pfn_retry(kvm: Kvm, gpc: GfnToPfnCache) -> Steps[int]:
    """Mirror of hva_to_pfn_retry(), virt/kvm/pfncache.c; enters and leaves with gpc.lock held.

    valid goes false first, so that an invalidation in between has nothing to clear and is
    found by the check at the end instead.
    """
    gpc.valid = False
    while True:
        seq = kvm.gpc_seq()
        gpc.lock.write_unlock()
        yield "hva_to_pfn_retry.lookup"
        frame, _ = yield from kvm.hva_to_pfn(gpc.uhva, True, True)
        if not isinstance(frame, int):
            generation = frame.generation
            yield "hva_to_pfn_retry.map"
        yield WantLock(gpc.lock, "hva_to_pfn_retry.lock")
        gpc.lock.write_lock()
        if isinstance(frame, int):
            return -EFAULT
        if gpc.valid:
            kvm.WARN_ON("hva_to_pfn_retry: valid after relock")
        if not kvm.mmu_notifier_retry_cache(seq):
            break
        gpc.lock.write_unlock()
        put_page(kvm, frame)
        yield AGAIN
        yield WantLock(gpc.lock, "hva_to_pfn_retry.relock")
        gpc.lock.write_lock()
    gpc.valid = True
    gpc.frame = frame
    gpc.frame_generation = generation
    kvm.watch.gpc_validated(gpc)
    put_page(kvm, frame)
    return 0


def kvm_gpc_check(kvm: Kvm, gpc: GfnToPfnCache) -> bool:
    """Mirror of kvm_gpc_check(), virt/kvm/pfncache.c; gpc.lock is held for reading."""
    if not gpc.active:
        return False
    if gpc.gpa != INVALID_GPA and gpc.generation != kvm.memslots[0].generation:
        return False
    return gpc.uhva >= 0 and gpc.valid


def gpc_use(kvm: Kvm, number: int, value: int | None) -> Steps[int]:
    """How users (kvmclock, Xen) reach the page: check under the read lock, refresh, check again.

    Mirror of the loop in kvm_xen_set_evtchn() and kvm_setup_guest_pvclock(), arch/x86/kvm.
    """
    if not kvm.features["gpc"]:
        return -EOPNOTSUPP
    gpc = kvm.gpc_of(number)
    while True:
        if gpc.lock.writer is not None:
            yield WantLock(gpc.lock, "kvm_gpc_check.lock")
        else:
            yield "kvm_gpc_check.lock"
            if gpc.lock.writer is not None:
                continue
        gpc.lock.read_lock()
        if kvm.kvm_gpc_check(gpc):
            break
        gpc.lock.read_unlock()
        kvm.srcu.read_lock()
        result = yield from kvm.kvm_gpc_refresh(gpc)
        kvm.srcu.read_unlock()
        if result:
            return result
    yield "kvm_gpc_check.use"
    frame = gpc.frame
    assert frame is not None
    who = f"gpc{number}"
    if value is None:
        result = read_frame(kvm, frame, gpc.frame_generation, who)
    else:
        result = 0
        write_frame(kvm, frame, gpc.frame_generation, value, who)
        if gpc.memslot is not None:
            kvm.mark_page_dirty_in_slot(gpc.memslot, gpc.gpa)
    gpc.lock.read_unlock()
    return result


def kvm_gpc_deactivate(kvm: Kvm, number: int) -> Steps[int]:
    """Mirror of kvm_gpc_deactivate(), virt/kvm/pfncache.c."""
    if not kvm.features["gpc"]:
        return -EOPNOTSUPP
    gpc = kvm.gpc_of(number)
    yield WantLock(gpc.refresh_lock, "kvm_gpc_deactivate.refresh_lock")
    gpc.refresh_lock.lock()
    if gpc.active:
        yield WantLock(gpc.lock, "kvm_gpc_deactivate.lock")
        gpc.lock.write_lock()
        gpc.active = gpc.valid = False
        gpc.frame = None
        gpc.lock.write_unlock()
        yield LIST_DEL
        kvm.gpc_lock.lock()
        kvm.gpc_list.remove(gpc)
        kvm.gpc_lock.unlock()
    gpc.refresh_lock.unlock()
    return 0
