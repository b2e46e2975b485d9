"""A mistake in the reference: leaves of gmem-only slots are read-only until written.

Permissions follow something other than the slot.
"""

SUMMARY = "leaves of gmem-only slots are read-only until written"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_faultin_pfn_gmem",
        "fault.map_writable = not slot.flags & KVM_MEM_READONLY",
        "fault.map_writable = fault.write",
    ),
)
