"""A mistake in the reference: pre-faulting retries an INVALID slot.

It holds SRCU while it spins, and the update waits for SRCU.
"""

SUMMARY = "pre-faulting retries an INVALID slot"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_faultin_pfn",
        "return -EAGAIN if fault.prefetch else RET_PF_RETRY",
        "return RET_PF_RETRY",
    ),
)
