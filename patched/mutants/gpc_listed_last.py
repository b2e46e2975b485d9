"""A mistake in the reference: a pfn cache is listed after it became valid.

An invalidation in between does not find it.
"""

SUMMARY = "a pfn cache is listed after it became valid"
GROUP = "gpc"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "_kvm_gpc_activate",
        """\
        yield LIST_ADD
        kvm.gpc_lock.lock()
        kvm.gpc_list.append(gpc)
        kvm.gpc_lock.unlock()
""",
        "",
    ),
    (
        "_kvm_gpc_activate",
        """\
    result = yield from kvm._kvm_gpc_refresh(gpc, gpa, uhva)
""",
        """\
    result = yield from kvm._kvm_gpc_refresh(gpc, gpa, uhva)
    if gpc not in kvm.gpc_list:
        yield LIST_ADD
        kvm.gpc_lock.lock()
        kvm.gpc_list.append(gpc)
        kvm.gpc_lock.unlock()
""",
    ),
)
