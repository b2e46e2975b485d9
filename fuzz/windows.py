"""The windows of KVM's memory code: stretches in which another task can do harm.

A window belongs to the op that opens it.  It is open from when that op takes a step of `opens`
until it takes one of `closes` or ends; an op enters it when it takes a step meanwhile.  The table
is what a reviewer would ask about ("what if a fault comes between start and end?"); campaigns
report which ops entered which windows, and which windows nobody ever entered.

Some steps are taken for several reasons, so a window may open only after another one of the same
op, or only when the model is in a certain state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from reference.kvm import Kvm

FAULTS: Final = frozenset({"read", "write", "pre_fault"})
REFRESHES: Final = frozenset(
    {"gpc_activate", "gpc_activate_hva", "gpc_refresh", "gpc_read", "gpc_write"}
)

_INSTALLS: Final = (
    "kvm_tdp_mmu_map.install",
    "direct_page_fault.mmu_lock",
    "FNAME_page_fault.mmu_lock",
    "gmem_abort.mmu_lock",
    "user_mem_abort.mmu_lock",
    "vcpu_run.retry",
    "kvm_tdp_map_page.retry",
)
_LOOKUPS: Final = (
    "kvm_gmem_get_folio.lookup",
    "kvm_gmem_get_folio.folio_lock",
    "hva_to_pfn.fast",
    "get_user_pages.mmap_lock",
)
_SEQ_READS: Final = (
    "kvm_mmu_faultin_pfn.mmu_seq",
    "gmem_abort.mmu_seq",
    "user_mem_abort.mmu_seq",
)
_PTES_CHANGE: Final = (
    "unmap_vmas.zap_ptes",
    "zap_vma_range.zap_ptes",
    "try_to_unmap_one.clear_pte",
    "change_protection.ptes",
    "write_protect_ptes.ptes",
    "wp_page_copy.set_pte",
    "replace_page.pte",
    "write_protect_page.pte",
    "move_page_tables.move_ptes",
    "copy_page_range.write_protect",
)
_START: Final = "kvm_mmu_notifier_invalidate_range_start.count"
_END: Final = "kvm_mmu_notifier_invalidate_range_end.count"
_SWAP: Final = "kvm_swap_active_memslots.mn_invalidate_lock"
_SYNCED: Final = "kvm_swap_active_memslots.synchronize_srcu"


def _slot_is_invalid(kvm: Kvm) -> bool:
    """Whether a published slot is about to go."""
    return any(slot.invalid for slots in kvm.memslots for slot in slots.slots.values())


@dataclass(frozen=True, slots=True)
class Window:
    """One window.

    ops: the ops that can open it; empty means any.
    after: the window of the same op that must have been open; its steps mean other things, too.
    when: what must hold after the step that opens it.
    """

    name: str
    sentence: str
    opens: tuple[str, ...]
    closes: tuple[str, ...]
    ops: frozenset[str] = frozenset()
    after: str = ""
    when: Callable[[Kvm], bool] | None = None


WINDOWS: Final = (
    Window(
        "hva start..end",
        "an MMU notifier has counted an invalidation, and its end has not been called",
        (_START,), (_END,),
    ),
    Window(
        "hva start..zap",
        "range_start has counted, and has not yet zapped the memslots in its range",
        (_START,), ("kvm_handle_hva_range.mmu_lock", *_PTES_CHANGE, _END),
    ),
    Window(
        "hva zap..flush",
        "range_start has zapped leaves, and TLBs have not been flushed",
        ("kvm_handle_hva_range.mmu_lock",), ("kvm_handle_hva_range.flush", *_PTES_CHANGE, _END),
        after="hva start..zap",
    ),
    Window(
        "pte change..hva end",
        "user PTEs have changed, and range_end has not been called",
        _PTES_CHANGE, (_END,),
    ),
    Window(
        "unmap..free",
        "the VMM's mapping is gone, and its pages have not been freed",
        ("unmap_vmas.zap_ptes", "zap_vma_range.zap_ptes"), ("tlb_finish_mmu.free",),
    ),
    Window(
        "gmem start..end",
        "guest_memfd has begun an invalidation, and has not ended it",
        ("kvm_gmem_invalidate_start.mmu_lock",), ("kvm_gmem_invalidate_end.mmu_lock",),
    ),
    Window(
        "gmem truncate..end",
        "a punched page has left the page cache, and the invalidation has not ended",
        ("truncate_inode_pages_range.folio_lock",), ("kvm_gmem_invalidate_end.mmu_lock",),
    ),
    Window(
        "gmem release..evict",
        "the last reference to a guest_memfd is gone, and its pages are still there",
        ("kvm_gmem_release.slots_lock",), ("kvm_gmem_release.evict",),
    ),
    Window(
        "bind..swap",
        "a file is bound to a slot that no vCPU can see yet",
        ("kvm_gmem_bind.invalidate_lock",), (_SWAP,),
    ),
    Window(
        "swap..srcu",
        "new memslots are published, and readers of the old ones may still run",
        (_SWAP,), (_SYNCED,),
    ),
    Window(
        "slot invalid..zap",
        "a slot is published as invalid, and its leaves have not been zapped",
        (_SYNCED,),
        (
            "kvm_mmu_zap_all_fast.mmu_lock", "kvm_mmu_zap_memslot.mmu_lock",
            "kvm_arch_flush_shadow_memslot.mmu_lock", "kvm_gmem_unbind.invalidate_lock",
        ),
        when=_slot_is_invalid,
    ),
    Window(
        "roots obsolete..zap",
        "a fast zap has marked roots obsolete, and has not zapped them",
        ("kvm_mmu_zap_all_fast.mmu_lock",),
        ("kvm_tdp_mmu_zap_invalidated_roots.mmu_lock", _SWAP),
    ),
    Window(
        "slot zap..slot gone",
        "the leaves of an invalid slot are zapped, and the slot is still published",
        (
            "kvm_mmu_zap_all_fast.mmu_lock", "kvm_mmu_zap_memslot.mmu_lock",
            "kvm_arch_flush_shadow_memslot.mmu_lock",
        ),
        (_SWAP,),
    ),
    Window(
        "slot gone..unbind",
        "a deleted slot is not published any more, and its file is still bound",
        (_SWAP,), ("kvm_gmem_unbind.invalidate_lock",),
        after="slot zap..slot gone",
    ),
    Window(
        "fault slot..seq",
        "a fault has looked its slot up, and has not read mmu_invalidate_seq",
        ("kvm_mmu_do_page_fault.slot", "kvm_handle_guest_abort.slot"), _SEQ_READS,
    ),
    Window(
        "fault seq..pfn",
        "a fault has read mmu_invalidate_seq, and has no pfn yet",
        _SEQ_READS, (*_LOOKUPS, *_INSTALLS), FAULTS,
    ),
    Window(
        "fault pfn..install",
        "a fault holds a pfn that it has not yet mapped",
        _LOOKUPS, _INSTALLS, FAULTS,
    ),
    Window(
        "fault recheck..install",
        "a fault has checked for retries without mmu_lock, and has not taken it yet",
        ("kvm_mmu_faultin_pfn.recheck",), _INSTALLS, FAULTS,
    ),
    Window(
        "tlb fill..access",
        "a vCPU is in the guest with a flush behind it, and is about to use its translation",
        ("vcpu_enter_guest.mode",), ("guest.access",),
    ),
    Window(
        "user fault page..pte",
        "a user fault holds a page of a guest_memfd, and has not mapped it",
        ("kvm_gmem_get_folio.lookup", "kvm_gmem_get_folio.folio_lock"),
        ("kvm_gmem_fault_user_mapping.install",),
        frozenset({"user_read", "user_write", "kvm_read", "kvm_write", "mlock", "madvise"}),
    ),
    Window(
        "gpc snapshot..lookup",
        "a pfn cache's refresh has read the sequence, and has not looked its page up",
        ("__kvm_gpc_refresh.lock", "hva_to_pfn_retry.relock"),
        ("hva_to_pfn.fast", "get_user_pages.mmap_lock", "hva_to_pfn_retry.lock"),
    ),
    Window(
        "gpc lookup..recheck",
        "a pfn cache's refresh has looked its page up, and has not checked for retries",
        ("hva_to_pfn.fast", "get_user_pages.mmap_lock"), ("hva_to_pfn_retry.lock",), REFRESHES,
    ),
    Window(
        "gpc check..use",
        "a pfn cache has been checked, and is about to be used",
        ("kvm_gpc_check.lock",), ("kvm_gpc_check.use",),
    ),
    Window(
        "migration",
        "a page's PTEs are replaced by migration entries",
        ("try_to_unmap_one.clear_pte",), ("move_to_new_folio.copy",),
        frozenset({"migrate", "move_pages", "compact"}),
    ),
    Window(
        "reclaim unmap..out",
        "reclaim has unmapped a page, and has not written it out",
        ("try_to_unmap_one.clear_pte",), ("shrink_folio_list.pageout",),
        frozenset({"reclaim", "madvise"}),
    ),
    Window(
        "dirty protect..flush",
        "a dirty log is write-protected, and TLBs have not been flushed",
        (
            "kvm_get_dirty_log_protect.mmu_lock", "kvm_clear_dirty_log_protect.mmu_lock",
            "kvm_mmu_slot_remove_write_access.mmu_lock",
            "kvm_mmu_slot_remove_write_access.tdp_mmu_lock",
        ),
        (
            "kvm_get_dirty_log_protect.flush", "kvm_clear_dirty_log_protect.flush",
            "kvm_mmu_slot_apply_flags.flush",
        ),
    ),
    Window(
        "attributes start..end",
        "memory attributes have begun to change, and the invalidation has not ended",
        ("kvm_handle_gfn_range.pre_mmu_lock",), ("kvm_handle_gfn_range.post_mmu_lock",),
    ),
    Window(
        "poisoning",
        "a page is poisoned, and its mappings are being dealt with",
        ("memory_failure.folio_lock",), (),
    ),
    Window(
        "kvm access slot..memory",
        "KVM's own access has looked a slot up, and has not touched the memory",
        ("kvm_read_guest_page.slot", "kvm_write_guest_page.slot"), ("user_access.mmu",),
    ),
    Window(
        "exit release..unmap",
        "notifiers were told that the address space dies, and its pages are still there",
        ("kvm_flush_shadow_all.mmu_lock",), ("exit_mmap.unmap",),
    ),
)  # fmt: skip

BIT: Final[Mapping[str, int]] = {window.name: 1 << at for at, window in enumerate(WINDOWS)}


class Condition(NamedTuple):
    """A window that a step opens if `after`, a bit, was open before it and `when` holds now."""

    bit: int
    after: int
    when: Callable[[Kvm], bool] | None


def _conditional(window: Window) -> bool:
    return bool(window.after) or window.when is not None


def _bits(label: str, op: str) -> int:
    """The windows that a step always opens; op "" for those that any op can open."""
    return sum(
        BIT[window.name]
        for window in WINDOWS
        if label in window.opens
        and not _conditional(window)
        and (op in window.ops if op else not window.ops)
    )


_OPENING: Final = sorted({label for window in WINDOWS for label in window.opens})
CONDITIONS: Final[Mapping[str, tuple[Condition, ...]]] = {
    label: tuple(
        Condition(BIT[window.name], BIT.get(window.after, 0), window.when)
        for window in WINDOWS
        if label in window.opens and _conditional(window)
    )
    for label in _OPENING
}
_OPENERS: Final = sorted({op for window in WINDOWS for op in window.ops})
OPENS: Final[Mapping[str, int]] = {label: _bits(label, "") for label in _OPENING}
OPENS_FOR_OP: Final[Mapping[tuple[str, str], int]] = {
    (op, label): bits for op in _OPENERS for label in _OPENING if (bits := _bits(label, op))
}
CLOSES: Final[Mapping[str, int]] = {
    label: sum(BIT[window.name] for window in WINDOWS if label in window.closes)
    for label in sorted({label for window in WINDOWS for label in window.closes})
}


def names(mask: int) -> list[str]:
    """The windows whose bits are set."""
    return [window.name for window in WINDOWS if mask & BIT[window.name]]
