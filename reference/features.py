"""Profiles are data: which kernel, which MMU, and which named features that gives.

A profile is one kernel version by one MMU flavour.  Every difference between two kernels that
the model knows stands in FEATURES, once, and is tested for by name at exactly one place in the
model.  The letters behind each line are the sections of the project's fact sheet on KVM.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

KERNELS: Final = ("v6.18", "v7.2", "v7.3")
MMUS: Final = ("x86-tdp", "x86-direct", "x86-shadow", "arm64")

# feature -> (kernels that have it, MMU flavours that have it)
FEATURES: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    # B11: a set call that clears KVM_MEM_GUEST_MEMFD of a live slot is refused.
    "gmem_toggle_refused": (("v7.2", "v7.3"), MMUS),
    # B14: overlapping bindings answer EEXIST; before, EINVAL.
    "gmem_overlap_eexist": (("v7.2", "v7.3"), MMUS),
    # B14: bindings are checked before and stored after the arch prepare step.
    "gmem_bind_in_commit": (("v7.3",), MMUS),
    # B9 of B2: MOVE or FLAGS_ONLY of a gmem slot warns and unbinds.
    "gmem_commit_warns": (("v7.2", "v7.3"), MMUS),
    # C: unbind takes invalidate_lock even when the file is already dying.
    "gmem_unbind_always_locks": (("v7.3",), MMUS),
    # H: gfn_to_pfn caches have a sequence of their own, bumped by every range_end.
    "gpc_invalidate_seq": (("v7.3",), MMUS),
    # E: NUMA scans pass over gmem VMAs with no policy; 6.19 until mid 2026 only, so none here.
    "numa_skips_default_policy": ((), MMUS),
    # F, G: x86 requests, MMIO exits, two address spaces, dirty-log flavours.
    "x86": (KERNELS, ("x86-tdp", "x86-direct", "x86-shadow")),
    # F2: faults map under mmu_lock held for reading, by compare and exchange.
    "tdp_mmu": (KERNELS, ("x86-tdp",)),
    # F3: a fault on the legacy direct or the shadow MMU prefetches its neighbours.
    "pte_prefetch": (KERNELS, ("x86-direct", "x86-shadow")),
    # F3: guest page tables are shadowed; prefetch wants the guest's accessed bit.
    "shadow": (KERNELS, ("x86-shadow",)),
    # F4: KVM_PRE_FAULT_MEMORY needs two-dimensional paging on x86.
    "pre_fault": (KERNELS, ("x86-tdp", "x86-direct")),
    # I: memory attributes; x86 VM types with private memory only.
    "memory_attributes": (KERNELS, ("x86-tdp", "x86-direct", "x86-shadow")),
    # I: clearing memory attributes reserves nothing, so it cannot fail for want of memory.
    "attributes_cleared_without_reserve": (("v7.3",), MMUS),
    # A: the VM type with private memory is offered only with the TDP MMU (kvm_x86_vendor_init(),
    # arch/x86/kvm/x86.c).
    "sw_protected_vm": (KERNELS, ("x86-tdp",)),
    # H: gfn_to_pfn caches exist on x86 only.
    "gpc": (KERNELS, ("x86-tdp", "x86-direct", "x86-shadow")),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """One kernel by one MMU flavour, for example ``v7.2 x86-tdp``."""

    kernel: str
    mmu: str

    def __str__(self) -> str:
        return f"{self.kernel} {self.mmu}"

    def has(self, feature: str) -> bool:
        """Tell whether the named feature is part of this profile."""
        kernels, mmus = FEATURES[feature]
        return self.kernel in kernels and self.mmu in mmus


@cache
def features_of(profile: Profile) -> dict[str, bool]:
    """All features of a profile, by name."""
    return {name: profile.has(name) for name in FEATURES}


PROFILES: Final = tuple(Profile(kernel, mmu) for kernel in KERNELS for mmu in MMUS)
