"""A mistake in the reference: a move that fails does not put the slot back.

It stays INVALID, and every fault in it waits for an update that is over.
"""

SUMMARY = "a move that fails does not put the slot back"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
HARD = "a move of a slot that finds no memory"
EDITS = (
    (
        "kvm_set_memslot",
        """\
            yield from kvm.kvm_activate_memslot(invalid_slot, old)
""",
        """\
            kvm.slots_arch_lock.unlock()
""",
    ),
)
