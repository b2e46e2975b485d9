"""A mistake in the reference: unmapping adds no range.

Faults of the range go on as if nothing were in progress.
"""

SUMMARY = "unmapping adds no range"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_unmap_gfn_range",
        """\
    kvm.kvm_mmu_invalidate_range_add(gfn_range.start, gfn_range.end)
""",
        "",
    ),
)
