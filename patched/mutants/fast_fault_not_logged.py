"""A mistake in the reference: a fast fault does not mark the page dirty.

Live migration misses it.
"""

SUMMARY = "a fast fault does not mark the page dirty"
GROUP = "dirty"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "fast_page_fault",
        """\
    if fault.slot is not None:
""",
        """\
    if False:
""",
    ),
)
