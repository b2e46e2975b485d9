"""A mistake in the reference: a fault in SMM looks its slot up among the normal ones.

SMM gets the memory of the other address space.
"""

SUMMARY = "a fault in SMM looks its slot up among the normal ones"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_mmu_do_page_fault",
        "kvm.gfn_to_memslot(as_id, gfn)",
        "kvm.gfn_to_memslot(0, gfn)",
    ),
)
