"""A mistake in the reference: a hole punch forgets at which offset of the file a slot begins.

It zaps other gfns than those of the hole.
"""

SUMMARY = "a hole punch forgets at which offset of the file a slot begins"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_gmem_invalidate_start",
        """\
            offset = slot.base_gfn - slot.gmem_pgoff
""",
        """\
            offset = slot.base_gfn
""",
    ),
)
