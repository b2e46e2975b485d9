"""A mistake in the reference: prefetch counts user pages from the start of the run.

Neighbours get each other's pages.
"""

SUMMARY = "prefetch counts user pages from the start of the run"
GROUP = "prefetch"
PROFILE = "v7.2 x86-direct"
EDITS = (
    (
        "kvm_mmu_prefetch_sptes",
        "slot.userspace_addr + one - slot.base_gfn",
        "slot.userspace_addr + one - gfn",
    ),
)
