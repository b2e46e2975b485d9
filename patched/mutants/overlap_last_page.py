"""A mistake in the reference: a slot may overlap the last page of another.

Two slots have one gfn.
"""

SUMMARY = "a slot may overlap the last page of another"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_check_memslot_overlap",
        """\
start < slot.base_gfn + slot.npages
""",
        """\
start < slot.base_gfn + slot.npages - 1
""",
    ),
)
