"""A mistake in the reference: deleting a slot does not flush it.

The guest keeps the pages of a slot that is gone.
"""

SUMMARY = "deleting a slot does not flush it"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_invalidate_memslot",
        """\
    yield from kvm.kvm_arch_flush_shadow_memslot(old)
""",
        "",
    ),
)
