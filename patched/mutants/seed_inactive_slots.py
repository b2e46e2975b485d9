"""The seed patch with a mistake: the walk looks at the inactive set of memslots.

That set is being edited while invalidations run: start and end see different slots.
"""

SUMMARY = "the walk looks at the inactive set of memslots"
GROUP = "patch"
PROFILE = "v7.2 x86-tdp"
BASE = "seed"
EDITS = (
    (
        "kvm_handle_hva_range",
        "slots = kvm.memslots[as_id]",
        "slots = kvm.kvm_get_inactive_memslots(as_id)",
    ),
)
