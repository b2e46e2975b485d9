"""A mistake in the reference: an arm64 unmap invalidates no TLB.

The guest goes on through its TLB.
"""

SUMMARY = "an arm64 unmap invalidates no TLB"
GROUP = "reference"
PROFILE = "v7.2 arm64"
EDITS = (
    (
        "stage2_unmap_gfns",
        """\
    kvm.kvm_tlb_flush_vmid_range(start, end)
""",
        "",
    ),
)
