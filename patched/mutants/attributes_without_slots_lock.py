"""A mistake in the reference: a change of attributes does not take slots_lock.

Its two halves see different slots.
"""

SUMMARY = "a change of attributes does not take slots_lock"
GROUP = "attributes"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_vm_ioctl_set_mem_attributes",
        """\
    yield SLOTS_LOCK
    kvm.slots_lock.lock()
    kvm.watch.lock_slots("slots_lock")
""",
        """\
    yield "kvm_vm_set_mem_attributes.slots_lock"
""",
    ),
    (
        "kvm_vm_ioctl_set_mem_attributes",
        """\
    kvm.slots_lock.unlock()
""",
        "",
    ),
)
