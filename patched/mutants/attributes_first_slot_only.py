"""A mistake in the reference: a change of attributes reaches the first slot only.

The others keep pages of the other kind.
"""

SUMMARY = "a change of attributes reaches the first slot only"
GROUP = "attributes"
PROFILE = "v7.2 x86-tdp"
EXECUTIONS = 20_000_000
EDITS = (
    (
        "kvm_handle_gfn_range_pre",
        """\
            flush |= yield from kvm.kvm_mmu_unmap_gfn_range(gfn_range)
""",
        """\
            flush |= yield from kvm.kvm_mmu_unmap_gfn_range(gfn_range)
            break
""",
    ),
)
