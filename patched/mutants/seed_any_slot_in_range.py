"""The seed patch with a mistake: one gmem-only slot in the range skips the whole set.

The check asks whether the set holds a gmem-only slot anywhere in the range.
"""

SUMMARY = "one gmem-only slot in the range skips the whole set"
GROUP = "patch"
PROFILE = "v7.2 x86-tdp"
BASE = "seed"
EDITS = (
    (
        "kvm_for_each_memslot_in_hva_range",
        "if kvm_slot_has_gmem(slot) and kvm_memslot_is_gmem_only(slot):",
        "if any(kvm_memslot_is_gmem_only(s) for s in slots.slots.values()):",
    ),
)
