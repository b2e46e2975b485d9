"""A mistake in the reference: activation takes gpc_lock inside the cache lock.

invalidate_start takes them the other way round.
"""

SUMMARY = "activation takes gpc_lock inside the cache lock"
EDITS = (
    (
        "_kvm_gpc_activate",
        '        yield LIST_ADD\n        kvm.gpc_lock.lock()\n        kvm.gpc_list.append(gpc)\n        kvm.gpc_lock.unlock()\n        yield WantLock(gpc.lock, "kvm_gpc_activate.active")\n        gpc.lock.write_lock()\n',
        '        yield WantLock(gpc.lock, "kvm_gpc_activate.active")\n        gpc.lock.write_lock()\n        yield LIST_ADD\n        kvm.gpc_lock.lock()\n        kvm.gpc_list.append(gpc)\n        kvm.gpc_lock.unlock()\n',
    ),
)
