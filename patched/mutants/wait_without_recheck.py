"""A mistake in the reference: a memslot update that was woken does not look again.

Another invalidation may have started before it has the lock.
"""

SUMMARY = "a memslot update that was woken does not look again"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_swap_active_memslots",
        """\
        while kvm.mn_active_invalidate_count:
""",
        """\
        if kvm.mn_active_invalidate_count:
""",
    ),
)
