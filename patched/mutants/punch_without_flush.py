"""A mistake in the reference: guest_memfd zaps without a TLB flush.

The guest goes on through its TLB after the hole was punched.
"""

SUMMARY = "guest_memfd zaps without a TLB flush"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_gmem_invalidate_start",
        """\
        if flush:
""",
        """\
        if False:
""",
    ),
)
