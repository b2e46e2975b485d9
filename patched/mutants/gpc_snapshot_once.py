"""A mistake in the reference: a refresh that starts over does not read the sequence again.

It never finds the sequence that it waits for.
"""

SUMMARY = "a refresh that starts over does not read the sequence again"
GROUP = "gpc"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "hva_to_pfn_retry",
        """\
    while True:
        seq = kvm.gpc_seq()
""",
        """\
    seq = kvm.gpc_seq()
    while True:
""",
    ),
)
