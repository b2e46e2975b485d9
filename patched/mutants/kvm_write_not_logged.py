"""A mistake in the reference: KVM's own writes do not mark pages dirty.

Live migration misses them.
"""

SUMMARY = "KVM's own writes do not mark pages dirty"
GROUP = "dirty"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_write_guest",
        "kvm.mark_page_dirty_in_slot(slot, gfn)",
        "pass",
    ),
)
