"""A mistake in the reference: a new guest_memfd page is not zeroed for the guest.

The guest reads what another process left.
"""

SUMMARY = "a new guest_memfd page is not zeroed for the guest"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_gmem_get_pfn",
        """\
                clear_page(frame)
""",
        """\
                pass
""",
    ),
)
