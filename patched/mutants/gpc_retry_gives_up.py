"""A mistake in the reference: a refresh starts over twice at most.

The third invalidation in a row is missed.
"""

SUMMARY = "a refresh starts over twice at most"
GROUP = "gpc"
PROFILE = "v7.2 x86-tdp"
HARD = "three or more preemptions"
EDITS = (
    (
        "hva_to_pfn_retry",
        """\
    gpc.valid = False
    while True:
""",
        """\
    gpc.valid = False
    tries = 0
    while True:
        tries += 1
""",
    ),
    (
        "hva_to_pfn_retry",
        """\
        if not kvm.mmu_notifier_retry_cache(seq):
""",
        """\
        if tries > 2 or not kvm.mmu_notifier_retry_cache(seq):
""",
    ),
)
