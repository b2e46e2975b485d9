"""A mistake in the reference: KVM_CLEAR_DIRTY_LOG write-protects nothing.

Later writes raise no fault and set no bit.
"""

SUMMARY = "KVM_CLEAR_DIRTY_LOG write-protects nothing"
GROUP = "dirty"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_clear_dirty_log_protect",
        """\
    kvm.protect_dirty(slot, taken)
""",
        "",
    ),
)
