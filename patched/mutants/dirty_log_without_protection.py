"""A mistake in the reference: taking the dirty log write-protects nothing.

Later writes raise no fault and set no bit.
"""

SUMMARY = "taking the dirty log write-protects nothing"
GROUP = "dirty"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_vm_ioctl_get_dirty_log",
        """\
        kvm.protect_dirty(slot, taken)
""",
        "",
    ),
)
