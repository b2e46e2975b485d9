"""A mistake in the reference: a fast fault makes any leaf writable.

The guest writes into a page that the host shares, for instance the zero page.
"""

SUMMARY = "a fast fault makes any leaf writable"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "fast_page_fault",
        """\
    if not spte.host_writable:
        return ""
""",
        "",
    ),
)
