"""A mistake in the reference: a fault does not ask again whether its page is private.

The answer may have changed before the sequence was read.
"""

SUMMARY = "a fault does not ask again whether its page is private"
GROUP = "attributes"
PROFILE = "v7.2 x86-tdp"
EXECUTIONS = 20_000_000
EDITS = (
    (
        "kvm_mmu_faultin_pfn",
        """\
    if fault.is_private != bool(attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE):
        return -EFAULT
""",
        "",
    ),
)
