"""A mistake in the reference: after two retries of a VM an arm64 abort no longer asks whether it
is stale.

Meant to guarantee progress; the third invalidation in a row is missed.
"""

SUMMARY = "after two retries of a VM an arm64 abort no longer asks whether it is stale"
GROUP = "reference"
PROFILE = "v7.2 arm64"
EDITS = (
    (
        "stage2_map",
        """\
    if not kvm.mmu_invalidate_retry(fault.mmu_seq):
""",
        """\
    if kvm.fault_retries >= 2 or not kvm.mmu_invalidate_retry(fault.mmu_seq):
""",
    ),
)
