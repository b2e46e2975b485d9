"""A mistake in the reference: leaves are zapped without a TLB flush.

The guest goes on through its TLB.
"""

SUMMARY = "leaves are zapped without a TLB flush"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_handle_hva_range",
        "if hva_range.flush_on_ret and ret:",
        "if False:",
    ),
)
