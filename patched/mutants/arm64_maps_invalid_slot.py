"""A mistake in the reference: an arm64 abort takes an INVALID slot for a good one.

It maps pages of a slot that has been flushed already.
"""

SUMMARY = "an arm64 abort takes an INVALID slot for a good one"
GROUP = "reference"
PROFILE = "v7.2 arm64"
EDITS = (
    (
        "kvm_handle_guest_abort",
        "slot is None or slot.invalid or (",
        "slot is None or (",
    ),
)
