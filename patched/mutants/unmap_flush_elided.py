"""A mistake in the reference: an unmap does not flush when somebody else has flushed meanwhile.

That flush may have come before the leaves were zapped.
"""

SUMMARY = "an unmap does not flush when somebody else has flushed meanwhile"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_handle_hva_range",
        """\
    yield "kvm_handle_hva_range.srcu"
""",
        """\
    flushed = kvm.remote_tlb_flush
    yield "kvm_handle_hva_range.srcu"
""",
    ),
    (
        "kvm_handle_hva_range",
        """\
    if hva_range.flush_on_ret and ret:
""",
        """\
    if hva_range.flush_on_ret and ret and kvm.remote_tlb_flush == flushed:
""",
    ),
)
