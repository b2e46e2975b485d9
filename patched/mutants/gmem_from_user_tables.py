"""A mistake in the reference: a fault in a gmem-only slot goes through user page tables.

The guest gets whatever the VMM happens to map.
"""

SUMMARY = "a fault in a gmem-only slot goes through user page tables"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "_kvm_mmu_faultin_pfn",
        "if fault.is_private or kvm_memslot_is_gmem_only(slot):",
        "if fault.is_private:",
    ),
)
