"""A mistake in the reference: a slot is moved without being flushed.

The guest still finds it at its old place.
"""

SUMMARY = "a slot is moved without being flushed"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_set_memslot",
        """\
    if change in (DELETE, MOVE):
""",
        """\
    if change == DELETE:
""",
    ),
)
