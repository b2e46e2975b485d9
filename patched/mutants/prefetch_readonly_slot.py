"""A mistake in the reference: prefetch maps neighbours writable in a read-only slot.

The guest writes without the exit that user space waits for.
"""

SUMMARY = "prefetch maps neighbours writable in a read-only slot"
GROUP = "prefetch"
PROFILE = "v7.2 x86-direct"
EDITS = (
    (
        "kvm_mmu_prefetch_sptes",
        "    if slot.flags & KVM_MEM_READONLY or gfn + count",
        "    if gfn + count",
    ),
)
