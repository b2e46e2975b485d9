"""A mistake in the reference: requests are not looked at again at entry.

A flush requested in that window is missed.
"""

SUMMARY = "requests are not looked at again at entry"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EXECUTIONS = 20_000_000
EDITS = (
    (
        "kvm_vcpu_exit_request",
        "return vcpu.requests != 0",
        "return False",
    ),
)
