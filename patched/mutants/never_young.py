"""A mistake in the reference: young hooks forget what they saw.

Reclaim takes the hottest pages for cold.
"""

SUMMARY = "young hooks forget what they saw"
GROUP = "aging"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "young_leaves",
        """\
                young = True
""",
        """\
                young = False
""",
    ),
)
