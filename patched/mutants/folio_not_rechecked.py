"""A mistake in the reference: whoever waited for a folio lock does not ask whether the page is
still in the file.

It may have been truncated meanwhile.
"""

SUMMARY = "whoever waited for a folio lock does not ask whether the page is still in the file"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
HARD = "a user fault that waits for a page while it is truncated"
EXECUTIONS = 20_000_000
EDITS = (
    (
        "kvm_gmem_get_folio",
        """\
        if inode.pages.get(index) is frame:
""",
        """\
        if True:
""",
    ),
)
