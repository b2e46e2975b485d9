"""The seed patch with a mistake: the skip is in kvm_unmap_gfn_range().

Nothing takes a leaf of a gmem-only slot away any more, a hole punch included.
"""

from __future__ import annotations

from reference import mmu_zap
from reference.kvm import Kvm
from reference.primitives import Steps
from reference.state import GfnRange, kvm_memslot_is_gmem_only

SUMMARY = "the skip is in kvm_unmap_gfn_range()"
GROUP = "patch"
PROFILE = "v7.2 x86-tdp"
PROMISES = ("gmem-survival",)


def kvm_unmap_gfn_range(kvm: Kvm, gfn_range: GfnRange) -> Steps[bool]:
    """Mirror of kvm_unmap_gfn_range(), arch/x86/kvm/mmu/mmu.c, with the skip."""
    if kvm_memslot_is_gmem_only(gfn_range.slot):
        return False
    return (yield from mmu_zap.kvm_unmap_gfn_range(kvm, gfn_range))
