"""A mistake in the reference: get_pfn does not check the binding.

A slot without a binding gets pages that nothing will take back.
"""

SUMMARY = "get_pfn does not check the binding"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
HARD = "a binding that finds no memory, before 7.3"
EDITS = (
    (
        "kvm_gmem_get_pfn",
        """\
    if bound is not slot:
""",
        """\
    if False:
""",
    ),
)
