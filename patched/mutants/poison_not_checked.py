"""A mistake in the reference: a fault takes a poisoned page.

The guest gets the page back after its failure was handled.
"""

SUMMARY = "a fault takes a poisoned page"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_gmem_get_pfn",
        """\
        if frame.poisoned:
""",
        """\
        if False:
""",
    ),
)
