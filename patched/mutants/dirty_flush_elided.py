"""A mistake in the reference: taking the dirty log does not flush when somebody else has flushed
meanwhile.

That flush may have come before the pages were write-protected.
"""

SUMMARY = "taking the dirty log does not flush when somebody else has flushed meanwhile"
GROUP = "dirty"
PROFILE = "v7.2 x86-tdp"
HARD = "a flush for another page between two steps of the ioctl"
EXECUTIONS = 20_000_000
EDITS = (
    (
        "kvm_vm_ioctl_get_dirty_log",
        """\
        yield PROTECT
""",
        """\
        flushed = kvm.remote_tlb_flush
        yield PROTECT
""",
    ),
    (
        "kvm_vm_ioctl_get_dirty_log",
        """\
        if taken:
""",
        """\
        if taken and kvm.remote_tlb_flush == flushed:
""",
    ),
)
