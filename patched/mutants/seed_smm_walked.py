"""The seed patch with a mistake: only address space 0 is skipped.

Slots of SMM, the other address space, are still walked.
"""

SUMMARY = "only address space 0 is skipped"
GROUP = "patch"
PROFILE = "v7.2 x86-tdp"
HARD = "a guest_memfd slot of SMM, used in SMM"
BASE = "seed"
EDITS = (
    (
        "kvm_for_each_memslot_in_hva_range",
        "kvm_memslot_is_gmem_only(slot):",
        "kvm_memslot_is_gmem_only(slot) and slot.as_id == 0:",
    ),
)
