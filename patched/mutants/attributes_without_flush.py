"""A mistake in the reference: a change of attributes does not flush.

The guest goes on through its TLB.
"""

SUMMARY = "a change of attributes does not flush"
GROUP = "attributes"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_handle_gfn_range_pre",
        """\
    if flush:
""",
        """\
    if False:
""",
    ),
)
