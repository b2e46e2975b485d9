"""The seed patch with a mistake: the skip is in kvm_mmu_unmap_gfn_range().

Hole punches and attribute changes go through it, too, and no longer reach the guest.
"""

from __future__ import annotations

from reference import mmu_notifier
from reference.kvm import Kvm
from reference.primitives import Steps
from reference.state import GfnRange, kvm_memslot_is_gmem_only

SUMMARY = "the skip is in kvm_mmu_unmap_gfn_range()"
GROUP = "patch"
PROFILE = "v7.2 x86-tdp"
PROMISES = ("gmem-survival",)


def kvm_mmu_unmap_gfn_range(kvm: Kvm, gfn_range: GfnRange) -> Steps[bool]:
    """Mirror of kvm_mmu_unmap_gfn_range(), virt/kvm/kvm_main.c, with the skip."""
    if kvm_memslot_is_gmem_only(gfn_range.slot):
        return False
    return (yield from mmu_notifier.kvm_mmu_unmap_gfn_range(kvm, gfn_range))
