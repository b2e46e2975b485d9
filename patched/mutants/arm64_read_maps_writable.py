"""A mistake in the reference: on arm64 a read in a logged slot maps writable.

Pages that were only read are logged as written.
"""

SUMMARY = "on arm64 a read in a logged slot maps writable"
GROUP = "dirty"
PROFILE = "v7.2 arm64"
EDITS = (
    (
        "user_mem_abort",
        """\
    if slot.dirty_bitmap is not None and not fault.write:
        fault.map_writable = False
""",
        "",
    ),
)
