"""A mistake in the reference: a refresh keeps a valid page although its address changed.

The cache shows the memory that the guest address used to mean.
"""

SUMMARY = "a refresh keeps a valid page although its address changed"
GROUP = "gpc"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "_kvm_gpc_refresh",
        """\
    if gpc.valid and gpc.uhva == old_uhva:
""",
        """\
    if gpc.valid:
""",
    ),
)
