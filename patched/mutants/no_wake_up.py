"""A mistake in the reference: the last range_end does not wake the memslot update.

The update sleeps on although nothing stands in its way.
"""

SUMMARY = "the last range_end does not wake the memslot update"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_notifier_invalidate_range_end",
        """\
    if wake:
""",
        """\
    if False:
""",
    ),
)
