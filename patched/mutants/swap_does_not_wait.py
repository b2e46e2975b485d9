"""A mistake in the reference: memslots are swapped under an active invalidation.

start and end of one invalidation walk different slots.
"""

SUMMARY = "memslots are swapped under an active invalidation"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_swap_active_memslots",
        """\
    if kvm.mn_active_invalidate_count:
""",
        """\
    if False:
""",
    ),
)
