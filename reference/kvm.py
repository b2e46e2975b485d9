"""The model itself: KvmState with every function of the other files as a method.

This table is also the list of what an overlay (patched/) may replace: calls go through the
object, so a replaced function is used by all its callers.
"""

from __future__ import annotations

from reference import (
    dirty_log,
    fault_arm64,
    fault_x86,
    gmem_fallocate,
    guest_access,
    guest_memfd,
    mem_attributes,
    memslots,
    mm_advice,
    mm_exit,
    mm_fault,
    mm_mremap,
    mm_rmap,
    mm_vma,
    mmu_age,
    mmu_notifier,
    mmu_zap,
    pfncache,
    tlb,
    vcpu,
)
from reference.machine import KvmState


class Kvm(KvmState):
    """A VM under test, its host process and its vCPUs."""

    __slots__ = ()

    # memslots.py: Memory slots
    kvm_vm_ioctl_set_memory_region = memslots.kvm_vm_ioctl_set_memory_region
    check_memory_region_flags = memslots.check_memory_region_flags
    check_region_layout = memslots.check_region_layout
    kvm_set_memory_region = memslots.kvm_set_memory_region
    kvm_check_memslot_overlap = memslots.kvm_check_memslot_overlap
    kvm_set_memslot = memslots.kvm_set_memslot
    kvm_replace_memslot = memslots.kvm_replace_memslot
    kvm_replace_and_activate = memslots.kvm_replace_and_activate
    kvm_invalidate_memslot = memslots.kvm_invalidate_memslot
    kvm_activate_memslot = memslots.kvm_activate_memslot
    kvm_swap_active_memslots = memslots.kvm_swap_active_memslots
    kvm_get_inactive_memslots = memslots.kvm_get_inactive_memslots
    kvm_prepare_memory_region = memslots.kvm_prepare_memory_region
    kvm_arch_prepare_memory_region = memslots.kvm_arch_prepare_memory_region
    kvm_commit_memory_region = memslots.kvm_commit_memory_region

    # mmu_notifier.py: MMU notifiers
    kvm_mmu_invalidate_start = mmu_notifier.kvm_mmu_invalidate_start
    kvm_mmu_invalidate_range_add = mmu_notifier.kvm_mmu_invalidate_range_add
    kvm_mmu_invalidate_end = mmu_notifier.kvm_mmu_invalidate_end
    kvm_mmu_unmap_gfn_range = mmu_notifier.kvm_mmu_unmap_gfn_range
    kvm_for_each_memslot_in_hva_range = mmu_notifier.kvm_for_each_memslot_in_hva_range
    kvm_handle_hva_range = mmu_notifier.kvm_handle_hva_range
    hva_range_to_gfn_range = mmu_notifier.hva_range_to_gfn_range
    kvm_mmu_notifier_invalidate_range_start = mmu_notifier.kvm_mmu_notifier_invalidate_range_start
    kvm_mmu_notifier_invalidate_range_end = mmu_notifier.kvm_mmu_notifier_invalidate_range_end
    kvm_mmu_notifier_clear_flush_young = mmu_notifier.kvm_mmu_notifier_clear_flush_young
    kvm_mmu_notifier_clear_young = mmu_notifier.kvm_mmu_notifier_clear_young
    kvm_mmu_notifier_test_young = mmu_notifier.kvm_mmu_notifier_test_young
    kvm_age_hva_range = mmu_notifier.kvm_age_hva_range
    kvm_mmu_notifier_release = mmu_notifier.kvm_mmu_notifier_release
    mmu_invalidate_retry_gfn = mmu_notifier.mmu_invalidate_retry_gfn
    mmu_invalidate_retry = mmu_notifier.mmu_invalidate_retry

    # tlb.py: TLB flushes
    kvm_make_all_cpus_request = tlb.kvm_make_all_cpus_request
    kvm_flush_remote_tlbs = tlb.kvm_flush_remote_tlbs
    kvm_tlb_flush_vmid_range = tlb.kvm_tlb_flush_vmid_range
    kvm_service_local_tlb_flush_requests = tlb.kvm_service_local_tlb_flush_requests

    # mmu_zap.py: Removing leaves
    rwlock_needbreak = mmu_zap.rwlock_needbreak
    zap_leaf = mmu_zap.zap_leaf
    kvm_unmap_gfn_range = mmu_zap.kvm_unmap_gfn_range
    kvm_tdp_mmu_zap_leafs = mmu_zap.kvm_tdp_mmu_zap_leafs
    stage2_unmap_gfns = mmu_zap.stage2_unmap_gfns
    kvm_arch_flush_shadow_memslot = mmu_zap.kvm_arch_flush_shadow_memslot
    kvm_mmu_zap_memslot = mmu_zap.kvm_mmu_zap_memslot
    kvm_mmu_zap_all_fast = mmu_zap.kvm_mmu_zap_all_fast
    kvm_tdp_mmu_invalidate_roots = mmu_zap.kvm_tdp_mmu_invalidate_roots
    kvm_zap_obsolete_pages = mmu_zap.kvm_zap_obsolete_pages
    kvm_tdp_mmu_zap_invalidated_roots = mmu_zap.kvm_tdp_mmu_zap_invalidated_roots
    drop_invalid_roots = mmu_zap.drop_invalid_roots
    kvm_flush_shadow_all = mmu_zap.kvm_flush_shadow_all
    kvm_mmu_free_obsolete_roots = mmu_zap.kvm_mmu_free_obsolete_roots
    root_kind = mmu_zap.root_kind
    kvm_mmu_reload = mmu_zap.kvm_mmu_reload
    kvm_mmu_load = mmu_zap.kvm_mmu_load

    # mmu_age.py: Accessed state of leaves (aging), and write protection for dirty logging
    kvm_age_gfn = mmu_age.kvm_age_gfn
    kvm_test_age_gfn = mmu_age.kvm_test_age_gfn
    young_leaves = mmu_age.young_leaves
    write_protect_gfns = mmu_age.write_protect_gfns
    kvm_mmu_slot_apply_flags = mmu_age.kvm_mmu_slot_apply_flags

    # fault_x86.py: The x86 page fault
    kvm_mmu_do_page_fault = fault_x86.kvm_mmu_do_page_fault
    fast_page_fault = fault_x86.fast_page_fault
    kvm_mmu_faultin_pfn = fault_x86.kvm_mmu_faultin_pfn
    mmu_invalidate_retry_gfn_unsafe = fault_x86.mmu_invalidate_retry_gfn_unsafe
    _kvm_mmu_faultin_pfn = fault_x86._kvm_mmu_faultin_pfn
    kvm_mmu_faultin_pfn_gmem = fault_x86.kvm_mmu_faultin_pfn_gmem
    kvm_faultin_pfn_hva = fault_x86.kvm_faultin_pfn_hva
    note_pfn = fault_x86.note_pfn
    kvm_mmu_finish_page_fault = fault_x86.kvm_mmu_finish_page_fault
    is_page_fault_stale = fault_x86.is_page_fault_stale
    kvm_tdp_mmu_page_fault = fault_x86.kvm_tdp_mmu_page_fault
    kvm_tdp_mmu_map = fault_x86.kvm_tdp_mmu_map
    make_spte = fault_x86.make_spte
    direct_page_fault = fault_x86.direct_page_fault
    direct_map = fault_x86.direct_map
    mmu_set_spte = fault_x86.mmu_set_spte
    direct_pte_prefetch = fault_x86.direct_pte_prefetch
    kvm_mmu_prefetch_sptes = fault_x86.kvm_mmu_prefetch_sptes
    FNAME_page_fault = fault_x86.FNAME_page_fault
    FNAME_pte_prefetch = fault_x86.FNAME_pte_prefetch

    # fault_arm64.py: The arm64 stage-2 abort
    kvm_handle_guest_abort = fault_arm64.kvm_handle_guest_abort
    handle_access_fault = fault_arm64.handle_access_fault
    gmem_abort = fault_arm64.gmem_abort
    user_mem_abort = fault_arm64.user_mem_abort
    stage2_map = fault_arm64.stage2_map

    # vcpu.py: A vCPU running guest code
    vcpu_enter_guest = vcpu.vcpu_enter_guest
    kvm_vcpu_exit_request = vcpu.kvm_vcpu_exit_request
    vcpu_exit = vcpu.vcpu_exit
    kvm_vcpu_run = vcpu.kvm_vcpu_run
    kvm_mmu_page_fault = vcpu.kvm_mmu_page_fault
    translate = vcpu.translate
    run_guest_access = vcpu.run_guest_access
    guest_flush = vcpu.guest_flush
    kvm_vcpu_pre_fault_memory = vcpu.kvm_vcpu_pre_fault_memory
    kvm_tdp_map_page = vcpu.kvm_tdp_map_page
    backing_of = vcpu.backing_of

    # guest_memfd.py: guest_memfd
    kvm_gmem_create = guest_memfd.kvm_gmem_create
    fput = guest_memfd.fput
    task_work_run = guest_memfd.task_work_run
    kvm_gmem_prepare = guest_memfd.kvm_gmem_prepare
    kvm_gmem_bind = guest_memfd.kvm_gmem_bind
    kvm_gmem_store_binding = guest_memfd.kvm_gmem_store_binding
    kvm_gmem_unbind = guest_memfd.kvm_gmem_unbind
    kvm_gmem_invalidate_start = guest_memfd.kvm_gmem_invalidate_start
    kvm_gmem_invalidate_end = guest_memfd.kvm_gmem_invalidate_end
    kvm_gmem_get_folio = guest_memfd.kvm_gmem_get_folio
    kvm_gmem_get_pfn = guest_memfd.kvm_gmem_get_pfn
    kvm_gmem_fault_user_mapping = guest_memfd.kvm_gmem_fault_user_mapping
    kvm_gmem_error_folio = guest_memfd.kvm_gmem_error_folio
    kvm_gmem_close = guest_memfd.kvm_gmem_close
    kvm_gmem_release = guest_memfd.kvm_gmem_release

    # gmem_fallocate.py: guest_memfd files growing and shrinking
    kvm_gmem_fallocate = gmem_fallocate.kvm_gmem_fallocate
    kvm_gmem_punch_hole = gmem_fallocate.kvm_gmem_punch_hole
    truncate_inode_pages_range = gmem_fallocate.truncate_inode_pages_range
    kvm_gmem_allocate = gmem_fallocate.kvm_gmem_allocate

    # pfncache.py: gfn_to_pfn caches
    gpc_of = pfncache.gpc_of
    gfn_to_pfn_cache_invalidate_start = pfncache.gfn_to_pfn_cache_invalidate_start
    kvm_gpc_activate = pfncache.kvm_gpc_activate
    kvm_gpc_activate_hva = pfncache.kvm_gpc_activate_hva
    _kvm_gpc_activate = pfncache._kvm_gpc_activate
    kvm_gpc_refresh = pfncache.kvm_gpc_refresh
    _kvm_gpc_refresh = pfncache._kvm_gpc_refresh
    gpc_seq = pfncache.gpc_seq
    mmu_notifier_retry_cache = pfncache.mmu_notifier_retry_cache
    hva_to_pfn_retry = pfncache.hva_to_pfn_retry
    kvm_gpc_check = pfncache.kvm_gpc_check
    gpc_use = pfncache.gpc_use
    kvm_gpc_deactivate = pfncache.kvm_gpc_deactivate

    # dirty_log.py: Dirty logging
    mark_page_dirty_in_slot = dirty_log.mark_page_dirty_in_slot
    find_logged_slot = dirty_log.find_logged_slot
    kvm_vm_ioctl_get_dirty_log = dirty_log.kvm_vm_ioctl_get_dirty_log
    kvm_vm_ioctl_clear_dirty_log = dirty_log.kvm_vm_ioctl_clear_dirty_log
    kvm_clear_dirty_log_protect = dirty_log.kvm_clear_dirty_log_protect
    protect_dirty = dirty_log.protect_dirty
    enable_manual_dirty_log = dirty_log.enable_manual_dirty_log

    # mem_attributes.py: KVM_SET_MEMORY_ATTRIBUTES
    kvm_vm_ioctl_set_mem_attributes = mem_attributes.kvm_vm_ioctl_set_mem_attributes
    kvm_vm_set_mem_attributes = mem_attributes.kvm_vm_set_mem_attributes
    kvm_range_has_memory_attributes = mem_attributes.kvm_range_has_memory_attributes
    kvm_handle_gfn_range_pre = mem_attributes.kvm_handle_gfn_range_pre

    # guest_access.py: KVM's own reads and writes of guest memory, through the slot's HVA
    gfn_to_memslot = guest_access.gfn_to_memslot
    kvm_read_guest = guest_access.kvm_read_guest
    kvm_write_guest = guest_access.kvm_write_guest

    # mm_fault.py: How the host process gets at its memory
    find_vma = mm_fault.find_vma
    set_pte = mm_fault.set_pte
    clear_pte = mm_fault.clear_pte
    zero_page = mm_fault.zero_page
    handle_mm_fault = mm_fault.handle_mm_fault
    do_anonymous_page = mm_fault.do_anonymous_page
    wp_page_copy = mm_fault.wp_page_copy
    handle_entry_fault = mm_fault.handle_entry_fault
    get_user_page_fast_only = mm_fault.get_user_page_fast_only
    get_user_pages = mm_fault.get_user_pages
    is_poisoned = mm_fault.is_poisoned
    hva_to_pfn = mm_fault.hva_to_pfn
    user_access = mm_fault.user_access

    # mm_vma.py: System calls of the VMM that change its VMAs
    vmas_in = mm_vma.vmas_in
    split_vmas = mm_vma.split_vmas
    zap_ptes = mm_vma.zap_ptes
    unmap_vmas = mm_vma.unmap_vmas
    detach = mm_vma.detach
    drop_files = mm_vma.drop_files
    do_munmap = mm_vma.do_munmap
    do_vmi_munmap = mm_vma.do_vmi_munmap
    do_mmap = mm_vma.do_mmap
    insert_vma = mm_vma.insert_vma
    do_mprotect = mm_vma.do_mprotect
    can_change_pte_writable = mm_vma.can_change_pte_writable
    change_protection = mm_vma.change_protection
    first_populated = mm_vma.first_populated
    do_mbind = mm_vma.do_mbind
    do_fork = mm_vma.do_fork
    child_exit = mm_vma.child_exit

    # mm_mremap.py: mremap(2)
    do_mremap = mm_mremap.do_mremap
    mremap_at = mm_mremap.mremap_at
    mremap_to = mm_mremap.mremap_to
    remap_move = mm_mremap.remap_move
    move_page_tables = mm_mremap.move_page_tables

    # mm_advice.py: madvise and its kin, userfaultfd write protection, soft-dirty, and mlock
    do_madvise = mm_advice.do_madvise
    madvise_vma = mm_advice.madvise_vma
    zap_vma_range = mm_advice.zap_vma_range
    madvise_inject_error = mm_advice.madvise_inject_error
    populate = mm_advice.populate
    do_mlock = mm_advice.do_mlock
    do_msync = mm_advice.do_msync
    write_protect_ptes = mm_advice.write_protect_ptes
    uffd_writeprotect = mm_advice.uffd_writeprotect
    clear_refs_write = mm_advice.clear_refs_write
    do_pagemap_scan = mm_advice.do_pagemap_scan

    # mm_rmap.py: What kernel threads do to mapped pages
    pages_mapping = mm_rmap.pages_mapping
    pages_with_entry = mm_rmap.pages_with_entry
    rmap_walk_file = mm_rmap.rmap_walk_file
    unmap_one = mm_rmap.unmap_one
    unmap_mapping_folio = mm_rmap.unmap_mapping_folio
    do_pages_move = mm_rmap.do_pages_move
    migrate_page = mm_rmap.migrate_page
    remove_migration_ptes = mm_rmap.remove_migration_ptes
    compact_page = mm_rmap.compact_page
    reclaim_page = mm_rmap.reclaim_page
    ksm_merge = mm_rmap.ksm_merge
    memory_failure = mm_rmap.memory_failure
    memory_failure_at = mm_rmap.memory_failure_at
    memory_failure_gmem = mm_rmap.memory_failure_gmem
    hold_and_fail = mm_rmap.hold_and_fail
    numa_scan = mm_rmap.numa_scan
    age_page = mm_rmap.age_page

    # mm_exit.py: The end of an address space
    oom_reap = mm_exit.oom_reap
    exit_mmap = mm_exit.exit_mmap
