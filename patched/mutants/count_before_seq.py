"""A mistake in the reference: the count drops before the sequence is raised.

A fault may see neither, and install what it read before.
"""

SUMMARY = "the count drops before the sequence is raised"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_invalidate_end",
        """\
    kvm.mmu_invalidate_seq += 1
    kvm.watch.invalidation_ended()
    kvm.mmu_invalidate_in_progress -= 1
""",
        """\
    kvm.watch.invalidation_ended()
    kvm.mmu_invalidate_in_progress -= 1
    kvm.mmu_invalidate_seq += 1
""",
    ),
)
