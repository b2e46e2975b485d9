"""A mistake in the reference: a writable leaf does not mark its page dirty.

Live migration misses it.
"""

SUMMARY = "a writable leaf does not mark its page dirty"
GROUP = "dirty"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "make_spte",
        """\
    if writable:
""",
        """\
    if False:
""",
    ),
)
