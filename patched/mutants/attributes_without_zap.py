"""A mistake in the reference: a change of attributes zaps nothing.

The guest keeps the page of the other kind.
"""

SUMMARY = "a change of attributes zaps nothing"
GROUP = "attributes"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_handle_gfn_range_pre",
        """\
            flush |= yield from kvm.kvm_mmu_unmap_gfn_range(gfn_range)
""",
        """\
            kvm.kvm_mmu_invalidate_range_add(gfn_range.start, gfn_range.end)
""",
    ),
)
