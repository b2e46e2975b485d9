"""A vCPU running guest code: entry, one access through its TLB, exit, fault, again.

arch/x86/kvm/x86.c and arch/arm64/kvm/arm.c.  SRCU is held while an exit is handled, and not
while guest code runs; a vCPU stays in guest mode between two accesses until it is kicked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.fault_x86 import RET_PF_FIXED, RET_PF_RETRY, RET_PF_SPURIOUS
from reference.frames import read_frame, write_frame
from reference.primitives import Retry, Steps
from reference.state import (
    IN_GUEST_MODE,
    OUTSIDE_GUEST_MODE,
    TlbEntry,
    Vcpu,
    kvm_memslot_is_gmem_only,
)
from reference.uapi import (
    EAGAIN,
    EFAULT,
    EINTR,
    EINVAL,
    EIO,
    ENOENT,
    EOPNOTSUPP,
    ERRNO_NAMES,
    PAGE_MASK,
    PAGE_SHIFT,
    U64,
)

if TYPE_CHECKING:
    from reference.kvm import Kvm

FAULT_RETRY = Retry("vcpu_run.retry")
PRE_FAULT_RETRY = Retry("kvm_tdp_map_page.retry")


def vcpu_enter_guest(kvm: Kvm, vcpu: Vcpu, as_id: int, l2: bool) -> Steps[None]:
    """Mirror of vcpu_enter_guest(), arch/x86/kvm/x86.c, and kvm_arch_vcpu_ioctl_run() of arm64.

    Requests are looked at again after the mode says IN_GUEST: a sender that saw the vCPU
    outside did not interrupt it, and relies on this second look.
    """
    while True:
        yield "vcpu_enter_guest.requests"
        kvm.kvm_service_local_tlb_flush_requests(vcpu)
        kvm.kvm_mmu_reload(vcpu, as_id, l2)
        vcpu.roots[as_id, l2].tables = True
        yield "vcpu_enter_guest.mode"
        vcpu.mode = IN_GUEST_MODE
        if not kvm.kvm_vcpu_exit_request(vcpu):
            break
        vcpu.mode = OUTSIDE_GUEST_MODE
    kvm.srcu.read_unlock()


def kvm_vcpu_exit_request(kvm: Kvm, vcpu: Vcpu) -> bool:
    """Mirror of kvm_vcpu_exit_request(), arch/x86/kvm/x86.c."""
    return vcpu.requests != 0


def vcpu_exit(kvm: Kvm, vcpu: Vcpu) -> None:
    """Leave guest mode and hold SRCU for what comes (the end of vcpu_enter_guest(), x86.c)."""
    vcpu.mode = OUTSIDE_GUEST_MODE
    kvm.srcu.read_lock()


def kvm_vcpu_run(
    kvm: Kvm, vcpu: Vcpu, gfn: int, value: int | None, l2: bool, as_id: int
) -> Steps[int | str]:
    """Guest code touches one page: KVM_RUN until the access is done (vcpu_run(), x86.c).

    value None loads; otherwise stores.  Returns the value loaded, 0 for a store, "MMIO", or
    "errno" names of an exit that user space sees.
    """
    if as_id >= kvm.nr_as or (l2 and kvm.profile.mmu == "x86-shadow"):
        return -EINVAL
    write = value is not None
    if vcpu.mode == OUTSIDE_GUEST_MODE or (as_id, l2) not in vcpu.roots:
        kvm.vcpu_exit(vcpu)
        yield from kvm.vcpu_enter_guest(vcpu, as_id, l2)
    while True:
        yield "guest.access"
        if vcpu.mode != IN_GUEST_MODE:  # kicked
            kvm.srcu.read_lock()
            yield from kvm.vcpu_enter_guest(vcpu, as_id, l2)
            continue
        entry = kvm.translate(vcpu, gfn, write, as_id, l2)
        if entry is not None:
            return kvm.run_guest_access(vcpu, entry, gfn, value, as_id)
        kvm.vcpu_exit(vcpu)
        result = yield from kvm.kvm_mmu_page_fault(vcpu, gfn, write, as_id, l2)
        if result == RET_PF_RETRY:
            # Back into the guest, which drops SRCU; the instruction faults again.
            kvm.srcu.read_unlock()
            kvm.fault_retries += 1
            yield FAULT_RETRY
            kvm.srcu.read_lock()
        elif result not in (RET_PF_FIXED, RET_PF_SPURIOUS):
            kvm.srcu.read_unlock()
            return exit_result(result)
        if kvm.current.task_work:  # xfer_to_guest_mode_handle_work(): with SRCU dropped
            kvm.srcu.read_unlock()
            yield from kvm.task_work_run()
            kvm.srcu.read_lock()
        yield from kvm.vcpu_enter_guest(vcpu, as_id, l2)


def exit_result(result: str | int) -> str:
    """What user space sees of a fault that KVM could not resolve (kvm_prepare_memory_fault_exit(),
    include/linux/kvm_host.h)."""
    if isinstance(result, str):
        return result
    return ERRNO_NAMES[-result]


def kvm_mmu_page_fault(
    kvm: Kvm, vcpu: Vcpu, gfn: int, write: bool, as_id: int, l2: bool
) -> Steps[str | int]:
    """Mirror of kvm_mmu_page_fault(), arch/x86/kvm/mmu/mmu.c, or the arm64 abort."""
    if kvm.dead:
        return -EIO
    if not kvm.x86:
        return (yield from kvm.kvm_handle_guest_abort(vcpu, gfn, write, l2))
    result = yield from kvm.kvm_mmu_do_page_fault(vcpu, gfn, write, as_id, l2, False)
    kvm.pf_fixed += result == RET_PF_FIXED  # those that KVM_PRE_FAULT_MEMORY makes are not counted
    return RET_PF_RETRY if result == -EAGAIN else result


def translate(kvm: Kvm, vcpu: Vcpu, gfn: int, write: bool, as_id: int, l2: bool) -> TlbEntry | None:
    """The MMU of the processor: a TLB hit, else a walk that caches what it finds, else a fault.

    A walk sets the leaf's accessed bit (x86), or faults while it is clear (arm64 without
    hardware access flags).
    """
    key = (gfn, as_id, l2)
    entry = vcpu.tlb.get(key)
    if entry is not None and (entry.writable or not write):
        return entry
    root = vcpu.roots.get((as_id, l2))
    spte = root.sptes.get(gfn) if root is not None else None
    if spte is None or (write and not spte.writable) or not (kvm.x86 or spte.accessed):
        return None
    spte.accessed = True
    entry = TlbEntry(spte.frame, spte.generation, spte.writable)
    vcpu.tlb[key] = entry
    if kvm.features["shadow"] or l2:
        kvm.gpte_accessed.add(gfn)
    kvm.watch.tlb_filled(vcpu, gfn, entry, spte, as_id)
    return entry


def run_guest_access(
    kvm: Kvm, vcpu: Vcpu, entry: TlbEntry, gfn: int, value: int | None, as_id: int
) -> int:
    """The guest's load or store itself, through a cached translation (hardware)."""
    who = f"vcpu{vcpu.id}"
    if value is None:
        return read_frame(kvm, entry.frame, entry.generation, who)
    write_frame(kvm, entry.frame, entry.generation, value, who)
    kvm.watch.guest_wrote(vcpu, kvm.gfn_to_memslot(as_id, gfn), gfn)
    return 0


def guest_flush(kvm: Kvm, vcpu: Vcpu) -> Steps[int]:
    """The guest flushes its own TLB: hardware, or with shadow paging kvm_set_cr3(),
    arch/x86/kvm/regs.c, whose flush is counted."""
    if vcpu.mode == OUTSIDE_GUEST_MODE or (0, False) not in vcpu.roots:
        kvm.vcpu_exit(vcpu)
        yield from kvm.vcpu_enter_guest(vcpu, 0, False)
    vcpu.tlb.clear()
    kvm.tlb_flush += kvm.features["shadow"]
    return 0


def kvm_vcpu_pre_fault_memory(kvm: Kvm, vcpu: Vcpu, gpa: int, size: int) -> Steps[int]:
    """Mirror of kvm_vcpu_pre_fault_memory(), virt/kvm/kvm_main.c.

    Returns the pages done, or an errno when the first one already failed.  arm64 has no such
    ioctl, and answers EINVAL to one that it does not know.
    """
    if not kvm.x86:
        return -EINVAL
    if gpa & PAGE_MASK or size & PAGE_MASK or size == 0 or gpa + size > U64:
        return -EINVAL
    vcpu.mode = OUTSIDE_GUEST_MODE
    kvm.srcu.read_lock()
    done = 0
    result = 0
    for gfn in range(gpa >> PAGE_SHIFT, (gpa + size) >> PAGE_SHIFT):
        if kvm.take_failure("signal"):
            result = -EINTR
            break
        result = yield from kvm.kvm_tdp_map_page(vcpu, gfn)
        if result:
            break
        done += 1
    kvm.srcu.read_unlock()
    return done if done else result


def kvm_tdp_map_page(kvm: Kvm, vcpu: Vcpu, gfn: int) -> Steps[int]:
    """Mirror of kvm_arch_vcpu_pre_fault_memory() and kvm_tdp_map_page(), arch/x86/kvm/mmu/mmu.c.

    Loops on a retry with SRCU held, which is why an INVALID slot must not be retried here.
    Assumption: a root that went obsolete meanwhile is loaded anew before each try; a kernel that
    does so only once per page would spin here until a signal.
    """
    while True:
        if kvm.dead:
            return -EIO
        kvm.kvm_mmu_reload(vcpu, 0, False)
        if not kvm.features["pre_fault"]:
            return -EOPNOTSUPP
        result = yield from kvm.kvm_mmu_do_page_fault(vcpu, gfn, False, 0, False, True)
        if result in (RET_PF_FIXED, RET_PF_SPURIOUS):
            return 0
        if result == RET_PF_RETRY:
            if kvm.take_failure("signal"):
                return -EINTR
            kvm.fault_retries += 1
            yield PRE_FAULT_RETRY
            continue
        if isinstance(result, int):
            return result
        if result == "SIGBUS":  # kvm_send_hwpoison_signal(), then a retry that meets the signal
            return -EINTR
        return -ENOENT if result == "MMIO" else -EFAULT


def backing_of(kvm: Kvm, gfn: int, as_id: int) -> int | None:
    """The contents a guest would read at a gfn now; None for MMIO and what cannot be mapped.

    Mirrors no kernel function: for comparing final states.  Follows an installed leaf first.
    """
    for root in kvm.roots:
        if root.as_id == as_id and not root.l2 and not root.invalid and gfn in root.sptes:
            return root.sptes[gfn].frame.content
    slot = kvm.gfn_to_memslot(as_id, gfn)
    if slot is None or slot.invalid:
        return None
    if kvm_memslot_is_gmem_only(slot):
        if slot.gmem_file is None:
            return None
        frame = slot.gmem_file.inode.pages.get(gfn - slot.base_gfn + slot.gmem_pgoff)
        return frame.content if frame is not None and frame.uptodate else 0
    page = slot.userspace_addr + gfn - slot.base_gfn
    pte = kvm.mm.ptes.get(page)
    if pte is not None:
        return pte.frame.content
    entry = kvm.mm.entries.get(page)
    if entry is not None:
        return entry.frame.content if entry.frame is not None else entry.content
    return 0 if kvm.find_vma(page) is not None else None
