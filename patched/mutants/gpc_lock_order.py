"""A mistake in the reference: activation takes gpc_lock inside the cache lock.

invalidate_start takes them the other way round.
"""

SUMMARY = "activation takes gpc_lock inside the cache lock"
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
        yield WantLock(gpc.lock, "kvm_gpc_activate.active")
        gpc.lock.write_lock()
""",
        """\
        yield WantLock(gpc.lock, "kvm_gpc_activate.active")
        gpc.lock.write_lock()
        yield LIST_ADD
        kvm.gpc_lock.lock()
        kvm.gpc_list.append(gpc)
        kvm.gpc_lock.unlock()
""",
    ),
)
