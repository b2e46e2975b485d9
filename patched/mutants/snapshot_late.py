"""A mistake in the reference: x86 reads the sequence after it has looked the page up.

An invalidation during the lookup is forgotten.
"""

SUMMARY = "x86 reads the sequence after it has looked the page up"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_faultin_pfn",
        """\
    yield "kvm_mmu_faultin_pfn.recheck"
""",
        """\
    yield "kvm_mmu_faultin_pfn.recheck"
    fault.mmu_seq = kvm.mmu_invalidate_seq
""",
    ),
)
