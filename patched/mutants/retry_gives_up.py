"""A mistake in the reference: after two retries of a VM a fault no longer asks whether it is
stale.

Meant to guarantee progress; the third invalidation in a row is missed.
"""

SUMMARY = "after two retries of a VM a fault no longer asks whether it is stale"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
HARD = "three or more preemptions"
EDITS = (
    (
        "is_page_fault_stale",
        "    return fault.slot is not None and ",
        "    return kvm.fault_retries < 2 and fault.slot is not None and ",
    ),
)
