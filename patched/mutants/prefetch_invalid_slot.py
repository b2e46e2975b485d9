"""A mistake in the reference: prefetch maps neighbours in an INVALID slot.

They stay when the slot is gone.
"""

SUMMARY = "prefetch maps neighbours in an INVALID slot"
GROUP = "prefetch"
PROFILE = "v7.2 x86-direct"
HARD = "a slot that is deleted beside one that faults"
EDITS = (
    (
        "kvm_mmu_prefetch_sptes",
        "slot is None or slot.invalid or slot.dirty",
        "slot is None or slot.dirty",
    ),
)
