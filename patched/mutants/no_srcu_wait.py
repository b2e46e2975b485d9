"""A mistake in the reference: a memslot update does not wait for SRCU.

A fault that found the old slot installs after the flush.
"""

SUMMARY = "a memslot update does not wait for SRCU"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_swap_active_memslots",
        """\
    yield kvm.srcu.synchronize("kvm_swap_active_memslots.synchronize_srcu")
""",
        "",
    ),
)
