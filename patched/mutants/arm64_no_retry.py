"""A mistake in the reference: arm64 maps without the retry check.

Whatever happened since the pfn was read is forgotten.
"""

SUMMARY = "arm64 maps without the retry check"
GROUP = "reference"
PROFILE = "v7.2 arm64"
EDITS = (
    (
        "stage2_map",
        """\
    if not kvm.mmu_invalidate_retry(fault.mmu_seq):
""",
        """\
    if True:
""",
    ),
)
