"""A mistake in the reference: a refresh reads the sequence after it has looked the page up.

An invalidation during the lookup is forgotten.
"""

SUMMARY = "a refresh reads the sequence after it has looked the page up"
GROUP = "gpc"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "hva_to_pfn_retry",
        """\
        frame, _ = yield from kvm.hva_to_pfn(gpc.uhva, True, True)
""",
        """\
        frame, _ = yield from kvm.hva_to_pfn(gpc.uhva, True, True)
        yield "hva_to_pfn_retry.map"
        seq = kvm.gpc_seq()
""",
    ),
)
