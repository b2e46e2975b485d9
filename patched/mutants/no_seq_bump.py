"""A mistake in the reference: the end of an invalidation leaves the sequence alone.

A fault that slept through start and end takes its old pfn for good.
"""

SUMMARY = "the end of an invalidation leaves the sequence alone"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_invalidate_end",
        """\
    kvm.mmu_invalidate_seq += 1
""",
        "",
    ),
)
