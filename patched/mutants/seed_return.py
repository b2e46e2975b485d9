"""The seed patch with a mistake: return for continue.

The walk leaves with SRCU, and perhaps mmu_lock, still held.
"""

from reference.state import kvm_memslot_is_gmem_only

SUMMARY = "return for continue"
GROUP = "patch"
PROFILE = "v7.2 x86-tdp"
PROMISES = ("gmem-survival",)
EDITS = (
    (
        "kvm_handle_hva_range",
        """\
            gfn_range = kvm.hva_range_to_gfn_range(slot, hva_range)
""",
        """\
            if kvm_memslot_is_gmem_only(slot):
                return found, ret
            gfn_range = kvm.hva_range_to_gfn_range(slot, hva_range)
""",
    ),
)
