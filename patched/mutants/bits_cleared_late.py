"""A mistake in the reference: the dirty bitmap is cleared after mmu_lock is dropped.

A write in between is forgotten.
"""

SUMMARY = "the dirty bitmap is cleared after mmu_lock is dropped"
GROUP = "dirty"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_vm_ioctl_get_dirty_log",
        """\
        bitmap.clear()
        kvm.protect_dirty(slot, taken)
        kvm.mmu_lock.write_unlock()
""",
        """\
        kvm.protect_dirty(slot, taken)
        kvm.mmu_lock.write_unlock()
""",
    ),
    (
        "kvm_vm_ioctl_get_dirty_log",
        """\
            kvm.kvm_flush_remote_tlbs()
""",
        """\
            kvm.kvm_flush_remote_tlbs()
            yield "kvm_get_dirty_log_protect.flush"
        bitmap.clear()
""",
    ),
)
