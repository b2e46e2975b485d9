"""A mistake in the reference: an overlap answers EINVAL.

User space can tell.
"""

SUMMARY = "an overlap answers EINVAL"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
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
