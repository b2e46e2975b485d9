"""A mistake in the reference: a slot is flushed before it is published as INVALID.

A fault in between maps it again.
"""

SUMMARY = "a slot is flushed before it is published as INVALID"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_invalidate_memslot",
        """\
    yield from kvm.kvm_swap_active_memslots(old.as_id)
    yield from kvm.kvm_arch_flush_shadow_memslot(old)
""",
        """\
    yield from kvm.kvm_arch_flush_shadow_memslot(old)
    yield from kvm.kvm_swap_active_memslots(old.as_id)
""",
    ),
)
