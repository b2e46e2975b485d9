"""The seed patch with a mistake: a slot is skipped only when the range covers all of it.

munmap() of a part of the VMM's mapping still takes the guest's pages.
"""

SUMMARY = "a slot is skipped only when the range covers all of it"
GROUP = "patch"
PROFILE = "v7.2 x86-tdp"
BASE = "seed"
EDITS = (
    (
        "kvm_for_each_memslot_in_hva_range",
        """\
        if kvm_slot_has_gmem(slot) and kvm_memslot_is_gmem_only(slot):
""",
        """\
        first, last = slot.userspace_addr, slot.userspace_addr + slot.npages
        covered = hva_range.start <= first and last <= hva_range.end
        if covered and kvm_memslot_is_gmem_only(slot):
""",
    ),
)
