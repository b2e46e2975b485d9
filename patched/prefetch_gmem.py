"""A repair of the kernel alone: PTE prefetch passes over memslots backed by guest_memfd only.

What user page tables map says nothing of the pages of such a slot, so prefetching from them maps
pages that are not the guest's (kvm_mmu_prefetch_sptes(), arch/x86/kvm/mmu/mmu.c).
"""

SUMMARY = "prefetch passes over guest_memfd-only memslots"
EDITS = (
    (
        "kvm_mmu_prefetch_sptes",
        "if slot is None or slot.invalid or slot.dirty_bitmap is not None:",
        """\
if slot is None or slot.invalid or slot.dirty_bitmap is not None:
        return False
    if kvm_memslot_is_gmem_only(slot):""",
    ),
)
