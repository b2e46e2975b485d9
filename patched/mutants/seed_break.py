"""The seed patch with a mistake: break for continue.

The walk ends at the first gmem-only slot: slots behind it in HVA order are not invalidated.
"""

SUMMARY = "break for continue"
GROUP = "patch"
PROFILE = "v7.2 x86-tdp"
BASE = "seed"
EDITS = (
    (
        "kvm_for_each_memslot_in_hva_range",
        "continue",
        "break",
    ),
)
