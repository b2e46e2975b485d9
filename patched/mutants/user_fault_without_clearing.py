"""A mistake in the reference: a new guest_memfd page is not zeroed for user space.

The VMM reads what another process left.
"""

SUMMARY = "a new guest_memfd page is not zeroed for user space"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_gmem_fault_user_mapping",
        """\
        clear_page(frame)
""",
        """\
        pass
""",
    ),
)
