"""A mistake in the reference: leaves are zapped without a TLB flush.

The guest goes on through its TLB.
"""

SUMMARY = "leaves are zapped without a TLB flush"
EDITS = (
    (
        "kvm_handle_hva_range",
        "if hva_range.flush_on_ret and ret:",
        "if False:",
    ),
)
