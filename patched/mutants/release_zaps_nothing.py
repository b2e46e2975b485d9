"""A mistake in the reference: the end of the address space leaves the guest's leaves.

Every page of the process is freed while it is mapped.
"""

SUMMARY = "the end of the address space leaves the guest's leaves"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_notifier_release",
        """\
    yield from kvm.kvm_flush_shadow_all()
""",
        "",
    ),
)
