"""The seed patch with a mistake: the skip is on the end side only.

start counts up, end never counts down: faults in the range wait for ever.
"""

SUMMARY = "the skip is on the end side only"
GROUP = "patch"
PROFILE = "v7.2 x86-tdp"
BASE = "seed"
PROMISES = ()
EDITS = (
    (
        "kvm_for_each_memslot_in_hva_range",
        "kvm_memslot_is_gmem_only(slot):",
        'kvm_memslot_is_gmem_only(slot) and hva_range.name == "end":',
    ),
)
