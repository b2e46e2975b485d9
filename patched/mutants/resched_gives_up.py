"""A mistake in the reference: a zap that gave mmu_lock away does not go on.

The rest of the range stays mapped.
"""

SUMMARY = "a zap that gave mmu_lock away does not go on"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_tdp_mmu_zap_leafs",
        """\
                    kvm.mmu_lock.write_lock()
""",
        """\
                    kvm.mmu_lock.write_lock()
                    break
""",
    ),
)
