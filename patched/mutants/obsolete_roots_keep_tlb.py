"""A mistake in the reference: loading a new root does not flush.

The guest keeps the translations of the old one.
"""

SUMMARY = "loading a new root does not flush"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_free_obsolete_roots",
        """\
    vcpu.tlb.clear()  # nothing runs before the next root is loaded, and that flushes
""",
        "",
    ),
    (
        "kvm_mmu_load",
        """\
    if kvm.x86:
        vcpu.tlb.clear()
""",
        "",
    ),
)
