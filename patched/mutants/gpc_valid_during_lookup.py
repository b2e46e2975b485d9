"""A mistake in the reference: a refresh leaves the old page valid while it looks up the new one.

Users and invalidations take the one for the other.
"""

SUMMARY = "a refresh leaves the old page valid while it looks up the new one"
GROUP = "gpc"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "hva_to_pfn_retry",
        """\
    gpc.valid = False
    while""",
        "    while",
    ),
)
