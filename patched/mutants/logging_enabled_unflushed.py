"""A mistake in the reference: turning logging on does not flush.

The guest goes on writing through its TLB, unlogged.
"""

SUMMARY = "turning logging on does not flush"
GROUP = "dirty"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_slot_apply_flags",
        """\
    yield "kvm_mmu_slot_apply_flags.flush"
    kvm.kvm_flush_remote_tlbs()
""",
        """\
    yield "kvm_mmu_slot_apply_flags.flush"
""",
    ),
)
