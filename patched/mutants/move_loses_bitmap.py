"""A mistake in the reference: moving a slot begins a new dirty bitmap.

What was written before is forgotten.
"""

SUMMARY = "moving a slot begins a new dirty bitmap"
GROUP = "dirty"
PROFILE = "v7.2 x86-tdp"
EXECUTIONS = 20_000_000
EDITS = (
    (
        "kvm_prepare_memory_region",
        """\
    elif old is not None and old.dirty_bitmap is not None:
""",
        """\
    elif change == FLAGS_ONLY and old is not None and old.dirty_bitmap is not None:
""",
    ),
)
