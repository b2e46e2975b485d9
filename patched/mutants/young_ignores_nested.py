"""A mistake in the reference: young hooks pass over nested guests on x86, too.

Pages that a nested guest uses look cold.
"""

SUMMARY = "young hooks pass over nested guests on x86, too"
GROUP = "aging"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "young_leaves",
        """\
        if root.l2 and not kvm.x86:
""",
        """\
        if root.l2:
""",
    ),
)
