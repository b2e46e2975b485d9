"""A mistake in the reference: turning logging on write-protects nothing.

Pages that are mapped already are never logged.
"""

SUMMARY = "turning logging on write-protects nothing"
GROUP = "dirty"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_slot_apply_flags",
        """\
        kvm.write_protect_gfns(new, gfns, ("shadow", "s2"))
""",
        "",
    ),
    (
        "kvm_mmu_slot_apply_flags",
        """\
        kvm.write_protect_gfns(new, gfns, ("tdp",))
""",
        "",
    ),
)
