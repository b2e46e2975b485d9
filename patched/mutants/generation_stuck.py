"""A mistake in the reference: the generation stays the same across updates.

Caches keyed by it do not notice.
"""

SUMMARY = "the generation stays the same across updates"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_swap_active_memslots",
        "slots.generation = generation + kvm.nr_as",
        "slots.generation = generation",
    ),
)
