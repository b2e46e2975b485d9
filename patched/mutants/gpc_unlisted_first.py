"""A mistake in the reference: a pfn cache is unlisted before it is inactive.

An invalidation in between does not find it, and its users go on.
"""

SUMMARY = "a pfn cache is unlisted before it is inactive"
GROUP = "gpc"
PROFILE = "v7.2 x86-tdp"
HARD = "an unmap and a use between two steps of a deactivation"
EXECUTIONS = 20_000_000
EDITS = (
    (
        "kvm_gpc_deactivate",
        """\
        yield LIST_DEL
        kvm.gpc_lock.lock()
        kvm.gpc_list.remove(gpc)
        kvm.gpc_lock.unlock()
""",
        "",
    ),
    (
        "kvm_gpc_deactivate",
        """\
    if gpc.active:
""",
        """\
    if gpc.active:
        yield LIST_DEL
        kvm.gpc_lock.lock()
        kvm.gpc_list.remove(gpc)
        kvm.gpc_lock.unlock()
""",
    ),
)
