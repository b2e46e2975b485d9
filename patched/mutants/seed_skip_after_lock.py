"""The seed patch with a mistake: the skip comes after mmu_lock and the count.

start counts an invalidation to which no range is ever added.
"""

from reference.state import kvm_memslot_is_gmem_only

SUMMARY = "the skip comes after mmu_lock and the count"
GROUP = "patch"
PROFILE = "v7.2 x86-tdp"
PROMISES = ("gmem-survival",)
EDITS = (
    (
        "kvm_handle_hva_range",
        """\
            assert handler is not None
""",
        """\
            assert handler is not None
            if kvm_memslot_is_gmem_only(slot):
                continue
""",
    ),
)
