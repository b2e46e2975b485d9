"""A mistake in the reference: an arm64 unmap leaves nested stage 2 alone.

A nested guest keeps the page.
"""

SUMMARY = "an arm64 unmap leaves nested stage 2 alone"
GROUP = "reference"
PROFILE = "v7.2 arm64"
EDITS = (
    (
        "stage2_unmap_gfns",
        "gfns = list(root.sptes) if root.l2 else [",
        "gfns = [] if root.l2 else [",
    ),
)
