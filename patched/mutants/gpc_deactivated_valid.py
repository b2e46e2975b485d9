"""A mistake in the reference: deactivation leaves a pfn cache valid.

The next activation stumbles over it.
"""

SUMMARY = "deactivation leaves a pfn cache valid"
GROUP = "gpc"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_gpc_deactivate",
        """\
        gpc.active = gpc.valid = False
""",
        """\
        gpc.active = False
""",
    ),
)
