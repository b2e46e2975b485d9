"""A mistake in the reference: prefetch goes past the end of the slot.

The guest gets user memory that no slot gives it.
"""

SUMMARY = "prefetch goes past the end of the slot"
GROUP = "prefetch"
PROFILE = "v7.2 x86-direct"
EDITS = (
    (
        "kvm_mmu_prefetch_sptes",
        "slot.flags & KVM_MEM_READONLY or gfn + count > slot.base_gfn + slot.npages:",
        "slot.flags & KVM_MEM_READONLY:",
    ),
)
