"""A mistake in the reference: an overlap answers EINVAL.

User space can tell.
"""

SUMMARY = "an overlap answers EINVAL"
EDITS = (
    (
        "kvm_set_memory_region",
        """\
        return -EEXIST
""",
        """\
        return -EINVAL
""",
    ),
)
