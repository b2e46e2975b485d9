"""A mistake in the reference: the binding of a slot goes before the slot does.

A fault in between finds a slot that is bound to nothing.
"""

SUMMARY = "the binding of a slot goes before the slot does"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_set_memslot",
        """\
    yield ARCH_LOCK
""",
        """\
    if change == DELETE:
        yield from kvm.kvm_gmem_unbind(old)
    yield ARCH_LOCK
""",
    ),
)
