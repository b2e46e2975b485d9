"""A mistake in the reference: slots_arch_lock is kept across the swap.

The update takes it again, and waits for itself.
"""

SUMMARY = "slots_arch_lock is kept across the swap"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_swap_active_memslots",
        """\
    kvm.slots_arch_lock.unlock()
""",
        "",
    ),
)
