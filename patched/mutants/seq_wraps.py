"""A mistake in the reference: only the lowest bit of the sequence is compared.

Two invalidations during one fault look like none.
"""

SUMMARY = "only the lowest bit of the sequence is compared"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "mmu_invalidate_retry_gfn",
        """\
    return kvm.mmu_invalidate_seq != mmu_seq
""",
        """\
    return (kvm.mmu_invalidate_seq - mmu_seq) & 1 != 0
""",
    ),
    (
        "mmu_invalidate_retry_gfn_unsafe",
        """\
    return kvm.mmu_invalidate_seq != fault.mmu_seq
""",
        """\
    return (kvm.mmu_invalidate_seq - fault.mmu_seq) & 1 != 0
""",
    ),
    (
        "mmu_invalidate_retry",
        "kvm.mmu_invalidate_seq != mmu_seq",
        "(kvm.mmu_invalidate_seq - mmu_seq) & 1 != 0",
    ),
)
