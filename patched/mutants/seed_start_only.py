"""The seed patch with a mistake: the skip is on the start side only.

end still counts down what start never counted up.
"""

SUMMARY = "the skip is on the start side only"
GROUP = "patch"
PROFILE = "v7.2 x86-tdp"
BASE = "seed"
EDITS = (
    (
        "kvm_for_each_memslot_in_hva_range",
        "kvm_memslot_is_gmem_only(slot):",
        'kvm_memslot_is_gmem_only(slot) and hva_range.name == "start":',
    ),
)
