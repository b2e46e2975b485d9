"""A mistake in the reference: a zap passes over roots that went obsolete.

They still map a page when it is freed.
"""

SUMMARY = "a zap passes over roots that went obsolete"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_tdp_mmu_zap_leafs",
        """\
        if root.as_id != slot.as_id or not root.sptes:
""",
        """\
        if root.as_id != slot.as_id or root.invalid:
""",
    ),
)
