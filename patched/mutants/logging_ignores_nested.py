"""A mistake in the reference: turning logging on passes over shadow roots of the TDP MMU.

A nested guest goes on writing, unlogged.
"""

SUMMARY = "turning logging on passes over shadow roots of the TDP MMU"
GROUP = "dirty"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_slot_apply_flags",
        """\
    if not kvm.features["tdp_mmu"] or any(root.kind == "shadow" for root in kvm.roots):
""",
        """\
    if not kvm.features["tdp_mmu"]:
""",
    ),
)
