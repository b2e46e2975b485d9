"""A mistake in the reference: test_young clears what it finds.

The next question gets the wrong answer.
"""

SUMMARY = "test_young clears what it finds"
GROUP = "aging"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_test_age_gfn",
        "clear=False",
        "clear=True",
    ),
)
