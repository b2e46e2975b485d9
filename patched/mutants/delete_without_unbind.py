"""A mistake in the reference: deleting a slot leaves its binding.

A hole punch goes through a slot that has been freed.
"""

SUMMARY = "deleting a slot leaves its binding"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_commit_memory_region",
        """\
    if change == DELETE:
        yield from kvm.kvm_gmem_unbind(old)
    elif old""",
        """\
    if change == DELETE:
        pass
    elif old""",
    ),
)
