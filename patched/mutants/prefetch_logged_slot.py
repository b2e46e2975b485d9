"""A mistake in the reference: prefetch maps neighbours in a logged slot.

Writable leaves mark pages dirty that nobody wrote.
"""

SUMMARY = "prefetch maps neighbours in a logged slot"
GROUP = "prefetch"
PROFILE = "v7.2 x86-direct"
EDITS = (
    (
        "kvm_mmu_prefetch_sptes",
        "slot is None or slot.invalid or slot.dirty_bitmap is not None:",
        "slot is None or slot.invalid:",
    ),
)
