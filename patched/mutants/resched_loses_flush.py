"""A mistake in the reference: a zap that gives mmu_lock away forgets to flush first.

Whoever gets the lock, and the guest, find pages that are zapped but not flushed.
"""

SUMMARY = "a zap that gives mmu_lock away forgets to flush first"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
HARD = "mmu_lock wanted in the middle of a zap of several leaves"
EXECUTIONS = 5_000_000
EDITS = (
    (
        "kvm_tdp_mmu_zap_leafs",
        """\
                    if flush:
                        kvm.kvm_flush_remote_tlbs()
                        flush = False
""",
        """\
                    flush = False
""",
    ),
)
