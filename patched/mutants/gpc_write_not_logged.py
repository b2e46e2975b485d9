"""A mistake in the reference: a write through a pfn cache does not mark the page dirty.

Live migration misses it.
"""

SUMMARY = "a write through a pfn cache does not mark the page dirty"
GROUP = "gpc"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "gpc_use",
        """\
        if gpc.memslot is not None:
""",
        """\
        if False:
""",
    ),
)
