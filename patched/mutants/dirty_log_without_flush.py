"""A mistake in the reference: taking the dirty log does not flush.

The guest goes on writing through its TLB, unlogged.
"""

SUMMARY = "taking the dirty log does not flush"
EDITS = (
    (
        "kvm_vm_ioctl_get_dirty_log",
        """\
        if taken:
""",
        """\
        if False:
""",
    ),
)
