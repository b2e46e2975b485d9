"""A mistake in the reference: an x86 fault takes an INVALID slot for a good one.

It maps pages of a slot that has been flushed already.
"""

SUMMARY = "an x86 fault takes an INVALID slot for a good one"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_faultin_pfn",
        """\
    if slot.invalid:
""",
        """\
    if False:
""",
    ),
)
