"""A mistake in the reference: KVM_CLEAR_DIRTY_LOG does not flush.

The guest goes on writing through its TLB, unlogged.
"""

SUMMARY = "KVM_CLEAR_DIRTY_LOG does not flush"
GROUP = "dirty"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_clear_dirty_log_protect",
        """\
    if taken:
        yield""",
        """\
    if False:
        yield""",
    ),
)
