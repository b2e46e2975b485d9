"""The seed patch with a mistake: only the young hooks skip.

start and end still walk gmem-only slots, so the promise is not kept.
"""

SUMMARY = "only the young hooks skip"
GROUP = "patch"
PROFILE = "v7.2 x86-tdp"
BASE = "seed"
EDITS = (
    (
        "kvm_for_each_memslot_in_hva_range",
        "kvm_memslot_is_gmem_only(slot):",
        'kvm_memslot_is_gmem_only(slot) and hva_range.name == "young":',
    ),
)
