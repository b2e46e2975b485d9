"""The seed patch with a mistake: only slots whose file is still open are skipped.

The file may be closed between start and end, and the two then see different slots.
"""

SUMMARY = "only slots whose file is still open are skipped"
GROUP = "patch"
PROFILE = "v7.2 x86-tdp"
HARD = "the last descriptor closed within an unmap of other memory"
BASE = "seed"
PROMISES = ()
EDITS = (
    (
        "kvm_for_each_memslot_in_hva_range",
        "kvm_memslot_is_gmem_only(slot):",
        "kvm_memslot_is_gmem_only(slot) and slot.gmem_file is not None:",
    ),
)
