"""The seed patch with a mistake: the predicate is inverted.

Ordinary slots are skipped, gmem-only ones are walked.
"""

SUMMARY = "the predicate is inverted"
GROUP = "patch"
PROFILE = "v7.2 x86-tdp"
BASE = "seed"
PROMISES = ()
EDITS = (
    (
        "kvm_for_each_memslot_in_hva_range",
        "if kvm_slot_has_gmem(slot) and kvm_memslot_is_gmem_only(slot):",
        "if not (kvm_slot_has_gmem(slot) and kvm_memslot_is_gmem_only(slot)):",
    ),
)
