"""Step labels by op: where a preemption can stop each op.  Generated; do not edit.

Written by tools/labels.py, which runs the model and collects the labels that each op passes.
Bytes choose among these, so that most preemptions of a decoded Program can happen.  An op that
is not listed, or has no labels, is never preempted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_NOTIFIER: Final = (
    "kvm_mmu_notifier_invalidate_range_start.count",
    "kvm_handle_hva_range.srcu",
    "kvm_handle_hva_range.mmu_lock",
    "kvm_mmu_notifier_invalidate_range_end.count",
)
_AGING: Final = ("kvm_handle_hva_range.srcu", "kvm_handle_hva_range.mmu_lock")
_REGION: Final = (
    "kvm_set_memory_region.slots_lock",
    "kvm_set_memslot.slots_arch_lock",
    "kvm_swap_active_memslots.mn_invalidate_lock",
    "kvm_swap_active_memslots.synchronize_srcu",
)
_PUNCH: Final = ("kvm_gmem_punch_hole.invalidate_lock", "kvm_gmem_invalidate_start.mmu_lock")
_FAULT: Final = ("kvm_faultin_pfn.unsafe", "kvm_gmem_get_pfn.folio_lock", "direct_page_fault.lock")
_GPC: Final = ("kvm_gpc_refresh.refresh_lock", "hva_to_pfn_retry.gup", "hva_to_pfn_retry.relock")
_SLOTS_LOCK: Final = ("kvm_vm_ioctl.slots_lock",)

STEP_LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    "close": ("kvm_gmem_release.slots_lock", "kvm_gmem_release.invalidate_lock"),
    "fallocate": _PUNCH + _NOTIFIER,
    "set_region": _REGION,
    "set_region1": _REGION,
    "get_dirty_log": _SLOTS_LOCK,
    "clear_dirty_log": _SLOTS_LOCK,
    "set_attributes": _SLOTS_LOCK,
    "mmap": _NOTIFIER,
    "munmap": _NOTIFIER,
    "mremap": _NOTIFIER,
    "mprotect": _NOTIFIER,
    "madvise": _NOTIFIER,
    "mbind": _NOTIFIER,
    "uffd_wp": _NOTIFIER,
    "clear_refs": _NOTIFIER,
    "pagemap_scan": _NOTIFIER,
    "fork": _NOTIFIER,
    "move_pages": _NOTIFIER,
    "read": _FAULT,
    "write": _FAULT,
    "pre_fault": _FAULT,
    "gpc_activate": _GPC,
    "gpc_activate_hva": _GPC,
    "gpc_refresh": _GPC,
    "gpc_read": _GPC,
    "gpc_write": _GPC,
    "gpc_deactivate": ("kvm_gpc_deactivate.refresh_lock",),
    "numa_scan": _NOTIFIER,
    "migrate": _NOTIFIER,
    "compact": _NOTIFIER,
    "reclaim": _NOTIFIER,
    "ksm": _NOTIFIER,
    "memory_failure": _NOTIFIER,
    "gmem_failure": _PUNCH,
    "clear_young": _AGING,
    "test_young": _AGING,
    "clear_flush_young": _AGING,
    "oom_reap": _NOTIFIER,
    "exit_mm": ("kvm_mmu_notifier_release.srcu",),
}
