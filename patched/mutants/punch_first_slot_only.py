"""A mistake in the reference: a hole punch reaches the first slot of the file only.

The others keep the pages.
"""

SUMMARY = "a hole punch reaches the first slot of the file only"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_gmem_invalidate_start",
        """\
            flush |= yield from kvm.kvm_mmu_unmap_gfn_range(gfn_range)
""",
        """\
            flush |= yield from kvm.kvm_mmu_unmap_gfn_range(gfn_range)
            break
""",
    ),
)
