"""A mistake in the reference: a memslot update that sleeps a second time gets ready after
dropping the lock.

A wake-up that comes in between is lost.
"""

SUMMARY = "a memslot update that sleeps a second time gets ready after dropping the lock"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
HARD = "three or more preemptions"
EDITS = (
    (
        "kvm_swap_active_memslots",
        """\
            wait.woken = False  # set_current_state(TASK_UNINTERRUPTIBLE)
            kvm.mn_invalidate_lock.unlock()
""",
        """\
            kvm.mn_invalidate_lock.unlock()
            if wait.woken:
                yield "kvm_swap_active_memslots.rcuwait"
            wait.woken = False
""",
    ),
)
