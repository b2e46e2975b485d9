"""A mistake in the reference: users of a pfn cache do not compare generations.

They go on with the memory of a slot that is gone.
"""

SUMMARY = "users of a pfn cache do not compare generations"
GROUP = "gpc"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_gpc_check",
        """\
    if gpc.gpa != INVALID_GPA and gpc.generation != kvm.memslots[0].generation:
        return False
""",
        "",
    ),
)
