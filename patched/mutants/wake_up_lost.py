"""A mistake in the reference: a memslot update gets ready to sleep after it has dropped the lock.

A wake-up that comes in between is lost.
"""

SUMMARY = "a memslot update gets ready to sleep after it has dropped the lock"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_swap_active_memslots",
        """\
            wait.woken = False  # set_current_state(TASK_UNINTERRUPTIBLE)
            kvm.mn_invalidate_lock.unlock()
""",
        """\
            kvm.mn_invalidate_lock.unlock()
            yield "kvm_swap_active_memslots.rcuwait"
            wait.woken = False
""",
    ),
)
