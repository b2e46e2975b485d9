"""A mistake in the reference: taking the dirty log does not flush.

The guest goes on writing through its TLB, unlogged.
"""

SUMMARY = "taking the dirty log does not flush"
GROUP = "dirty"
PROFILE = "v7.2 x86-tdp"
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
