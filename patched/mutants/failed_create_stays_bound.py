"""A mistake in the reference: a slot that could not be created stays bound.

The file's pages go on belonging to a slot that never was.
"""

SUMMARY = "a slot that could not be created stays bound"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
HARD = "a guest_memfd slot that finds no memory, and a second try"
EDITS = (
    (
        "kvm_set_memory_region",
        """\
    if result and not kvm.features["gmem_bind_in_commit"]:
""",
        """\
    if False:
""",
    ),
)
