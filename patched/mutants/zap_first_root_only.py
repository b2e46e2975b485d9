"""A mistake in the reference: a zap looks at one root.

A nested guest, or SMM, keeps the page.
"""

SUMMARY = "a zap looks at one root"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_tdp_mmu_zap_leafs",
        """\
    for root in kvm.roots[:]:
""",
        """\
    for root in kvm.roots[:1]:
""",
    ),
)
