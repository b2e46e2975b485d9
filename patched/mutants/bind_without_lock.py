"""A mistake in the reference: binding takes no invalidate_lock.

Bindings change between start and end of a punch.
"""

SUMMARY = "binding takes no invalidate_lock"
GROUP = "reference"
PROFILE = "v7.2 x86-tdp"
EDITS = (
    (
        "kvm_gmem_store_binding",
        """\
    yield WantLock(lock, "kvm_gmem_bind.invalidate_lock")
    lock.write_lock()
""",
        """\
    yield "kvm_gmem_bind.invalidate_lock"
""",
    ),
    (
        "kvm_gmem_store_binding",
        """\
    if file.bound_in(start, end):
        lock.write_unlock()
""",
        """\
    if file.bound_in(start, end):
""",
    ),
    (
        "kvm_gmem_store_binding",
        """\
    if failed and kvm.features["gmem_bind_in_commit"]:
        lock.write_unlock()
""",
        """\
    if failed and kvm.features["gmem_bind_in_commit"]:
""",
    ),
    (
        "kvm_gmem_store_binding",
        """\
    lock.write_unlock()
    return 0
""",
        """\
    return 0
""",
    ),
)
