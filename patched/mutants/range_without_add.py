"""A mistake in the reference: unmapping adds no range.

Faults of the range go on as if nothing were in progress.
"""

SUMMARY = "unmapping adds no range"
EDITS = (
    (
        "kvm_mmu_unmap_gfn_range",
        """\
    kvm.kvm_mmu_invalidate_range_add(gfn_range.start, gfn_range.end)
""",
        "",
    ),
)
