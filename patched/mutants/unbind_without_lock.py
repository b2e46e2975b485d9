"""A mistake in the reference: unbinding takes no invalidate_lock.

Bindings change between start and end of a punch.
"""

SUMMARY = "unbinding takes no invalidate_lock"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_gmem_unbind",
        """\
    locked = not dying or kvm.features["gmem_unbind_always_locks"]
""",
        """\
    locked = False
""",
    ),
)
