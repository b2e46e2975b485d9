"""TLB flushes: making every vCPU forget translations that memory no longer holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.state import (
    IN_GUEST_MODE,
    KVM_REQ_MMU_FREE_OBSOLETE_ROOTS,
    KVM_REQ_TLB_FLUSH,
    KVM_REQ_TLB_FLUSH_GUEST,
    OUTSIDE_GUEST_MODE,
    Vcpu,
)

if TYPE_CHECKING:
    from reference.kvm import Kvm


def kvm_make_all_cpus_request(kvm: Kvm, request: int) -> None:
    """Mirror of kvm_make_all_cpus_request(), virt/kvm/kvm_main.c.

    A vCPU in guest mode is interrupted, and the sender waits until it has left; that wait needs
    nothing but the interrupt, so here it takes no step.  Others find the request at entry.
    """
    for vcpu in kvm.vcpus:
        vcpu.requests |= request
        if vcpu.mode == IN_GUEST_MODE:
            vcpu.mode = OUTSIDE_GUEST_MODE


def kvm_flush_remote_tlbs(kvm: Kvm) -> None:
    """Mirror of kvm_flush_remote_tlbs(), virt/kvm/kvm_main.c.

    arm64 broadcasts a TLBI instead (arch/arm64/kvm/mmu.c), which acts at once.
    """
    kvm.remote_tlb_flush += 1
    if kvm.x86:
        kvm.kvm_make_all_cpus_request(KVM_REQ_TLB_FLUSH)
        return
    for vcpu in kvm.vcpus:
        vcpu.tlb.clear()


def kvm_tlb_flush_vmid_range(kvm: Kvm, start: int, end: int) -> None:
    """Mirror of kvm_tlb_flush_vmid_range(), arch/arm64/kvm/hyp/pgtable.c."""
    for vcpu in kvm.vcpus:
        for key in [k for k in vcpu.tlb if start <= k[0] < end]:
            del vcpu.tlb[key]


def kvm_service_local_tlb_flush_requests(kvm: Kvm, vcpu: Vcpu) -> None:
    """Mirror of the request handling in vcpu_enter_guest(), arch/x86/kvm/x86.c."""
    if vcpu.requests & KVM_REQ_MMU_FREE_OBSOLETE_ROOTS:
        kvm.kvm_mmu_free_obsolete_roots(vcpu)
    for request in (KVM_REQ_TLB_FLUSH, KVM_REQ_TLB_FLUSH_GUEST):
        if vcpu.requests & request:
            kvm.tlb_flush += 1
            vcpu.tlb.clear()
    vcpu.requests = 0
