"""A mistake in the reference: attributes are stored after the end of the invalidation.

A fault in between maps a page of the old kind.
"""

SUMMARY = "attributes are stored after the end of the invalidation"
GROUP = "attributes"
PROFILE = "v7.2 x86-tdp"
EXECUTIONS = 20_000_000
EDITS = (
    (
        "kvm_vm_set_mem_attributes",
        """\
    yield "kvm_vm_set_mem_attributes.store"
""",
        """\
    if found:
        yield POST_LOCK
        kvm.mmu_lock.write_lock()
        kvm.kvm_mmu_invalidate_end()
        kvm.mmu_lock.write_unlock()
    yield "kvm_vm_set_mem_attributes.store"
""",
    ),
    (
        "kvm_vm_set_mem_attributes",
        """\
            del kvm.mem_attr_array[gfn]
    if found:
        yield POST_LOCK
        kvm.mmu_lock.write_lock()
        kvm.kvm_mmu_invalidate_end()
        kvm.mmu_lock.write_unlock()
""",
        """\
            del kvm.mem_attr_array[gfn]
""",
    ),
)
