"""A mistake in the reference: taking the dirty log does not take slots_lock.

The slot may be freed meanwhile.
"""

SUMMARY = "taking the dirty log does not take slots_lock"
GROUP = "dirty"
PROFILE = "v7.2 x86-tdp"
EXECUTIONS = 20_000_000
EDITS = (
    (
        "kvm_vm_ioctl_get_dirty_log",
        """\
    yield SLOTS_LOCK
    kvm.slots_lock.lock()
    kvm.watch.lock_slots("slots_lock")
""",
        """\
    yield "kvm_vm_ioctl_get_dirty_log.slots_lock"
""",
    ),
    (
        "kvm_vm_ioctl_get_dirty_log",
        """\
    if isinstance(slot, int):
        kvm.slots_lock.unlock()
""",
        """\
    if isinstance(slot, int):
""",
    ),
    (
        "kvm_vm_ioctl_get_dirty_log",
        """\
    kvm.slots_lock.unlock()
    if kvm.take""",
        "    if kvm.take",
    ),
)
