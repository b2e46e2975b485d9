"""A mistake in the reference: the TDP MMU maps without mmu_lock.

An invalidation begins between the stale check and the leaf.
"""

SUMMARY = "the TDP MMU maps without mmu_lock"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_tdp_mmu_page_fault",
        """\
    yield TDP_MAP_LOCK
    kvm.mmu_lock.read_lock()
""",
        """\
    yield "kvm_tdp_mmu_page_fault.mmu_lock"
""",
    ),
    (
        "kvm_tdp_mmu_page_fault",
        """\
    kvm.mmu_lock.read_unlock()
""",
        "",
    ),
)
