"""A mistake in the reference: SRCU is waited for before the new set is published.

A fault that begins in between still finds the old slot, and installs after the flush.
"""

SUMMARY = "SRCU is waited for before the new set is published"
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
    (
        "kvm_swap_active_memslots",
        """\
    yield SWAP_LOCK
    kvm.mn_invalidate_lock.lock()
    wait =""",
        """\
    yield kvm.srcu.synchronize("kvm_swap_active_memslots.synchronize_srcu")
    yield SWAP_LOCK
    kvm.mn_invalidate_lock.lock()
    wait =""",
    ),
)
