"""A mistake in the reference: with manual protection the log is taken and not only read.

Pages written later are not logged, since they were not protected.
"""

SUMMARY = "with manual protection the log is taken and not only read"
GROUP = "dirty"
PROFILE = "v7.2 x86-tdp"
EXECUTIONS = 20_000_000
EDITS = (
    (
        "kvm_vm_ioctl_get_dirty_log",
        """\
    if not kvm.manual_dirty_log:
""",
        """\
    if kvm.manual_dirty_log:
        bitmap.clear()
    else:
""",
    ),
)
