"""A mistake in the reference: aging one page clears the accessed state of all.

Reclaim takes the hottest pages for cold.
"""

SUMMARY = "aging one page clears the accessed state of all"
GROUP = "aging"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "young_leaves",
        """\
            if gfn_range.start <= gfn < gfn_range.end and spte.accessed:
                young = True
                if clear:
                    spte.accessed = False
""",
        """\
            if gfn_range.start <= gfn < gfn_range.end and spte.accessed:
                young = True
            if clear:
                spte.accessed = False
""",
    ),
)
