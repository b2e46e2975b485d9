"""The seed patch with a mistake: any slot with a guest_memfd is skipped.

The predicate asks for a guest_memfd, not for guest_memfd only: shared pages of a slot that
has both stay mapped.
"""

SUMMARY = "any slot with a guest_memfd is skipped"
GROUP = "patch"
PROFILE = "v7.2 x86-tdp"
BASE = "seed"
EDITS = (
    (
        "kvm_for_each_memslot_in_hva_range",
        "if kvm_slot_has_gmem(slot) and kvm_memslot_is_gmem_only(slot):",
        "if kvm_slot_has_gmem(slot):",
    ),
)
