"""A mistake in the reference: young hooks look at address space 0 only.

Pages that SMM uses look cold.
"""

SUMMARY = "young hooks look at address space 0 only"
GROUP = "aging"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "young_leaves",
        """\
        if root.as_id != gfn_range.slot.as_id or root.invalid:
""",
        """\
        if root.as_id or root.invalid:
""",
    ),
)
