"""A mistake in the reference: KVM_CLEAR_DIRTY_LOG clears bits that it was not asked for.

Live migration misses a page.
"""

SUMMARY = "KVM_CLEAR_DIRTY_LOG clears bits that it was not asked for"
GROUP = "dirty"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_clear_dirty_log_protect",
        """\
    bitmap.difference_update(taken)
""",
        """\
    bitmap.clear()
""",
    ),
)
