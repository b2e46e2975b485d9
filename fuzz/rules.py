"""Every rule a run can break: what it protects, and where the kernel claims it.

The slug is the rule's name in fingerprints, programs and reports; it never changes meaning.
`claim` cites the kernel file that states the property (a comment, a WARN, a contract), and J
numbers refer to the list of claimed properties that the project works from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rule:
    """One property, its consequence when broken, its source."""

    slug: str
    holds: str  # the property, stated positively
    otherwise: str  # what a host or guest suffers when it is broken
    claim: str


_RULES: Final = (
    Rule(
        "invalidate-balance",
        "Every invalidation that starts also ends: both counts are zero when all is quiet.",
        "Faults retry for ever, or memslot updates hang.",
        "J1: comment in kvm_mmu_notifier_invalidate_range_start(), virt/kvm/kvm_main.c",
    ),
    Rule(
        "swap-under-invalidation",
        "No memslot set is published while an HVA invalidation is between start and end.",
        "start and end see different slots: the count never returns to zero, or goes below.",
        "J2: comment in kvm_swap_active_memslots(), virt/kvm/kvm_main.c",
    ),
    Rule(
        "seq-before-count",
        "The sequence is raised before the count of invalidations in progress drops.",
        "A fault sees neither and installs a page that is being freed.",
        "J6: barrier comment in kvm_mmu_invalidate_end(), virt/kvm/kvm_main.c",
    ),
    Rule(
        "unflushed-range",
        "When range_start returns, no leaf and no TLB entry of an ordinary slot covers the range.",
        "The guest keeps using pages that the host is about to give to somebody else.",
        "J4: contract of invalidate_range_start, include/linux/mmu_notifier.h",
    ),
    Rule(
        "stale-install",
        "No leaf is installed from a pfn read before an invalidation of its gfn ended.",
        "The leaf maps a page that the invalidation was meant to take away.",
        "J5: comment on mmu_invalidate_seq, virt/kvm/kvm_main.c and include/linux/kvm_host.h",
    ),
    Rule(
        "stale-spte",
        "No leaf and no TLB entry maps a page that has been freed.",
        "The guest reads and writes memory that now belongs to another process or the kernel.",
        "J7: comment on zapping in arch/x86/kvm/mmu/tdp_mmu.c",
    ),
    Rule(
        "use-after-free",
        "Every access goes to the page that its translation was made for.",
        "Somebody reads or overwrites memory of a stranger.",
        "include/linux/mmu_notifier.h; virt/kvm/pfncache.c",
    ),
    Rule(
        "stale-gpc",
        "A valid pfn cache maps what the user page table maps at its address.",
        "KVM writes clock or event data into a page that belongs to somebody else.",
        "J9: comments in hva_to_pfn_retry(), virt/kvm/pfncache.c",
    ),
    Rule(
        "gpc-after-mmu",
        "Pfn caches of a range are invalid before the memslot side of range_start begins.",
        "A cache stays valid although the count of active invalidations was already looked at.",
        "J10: comment in kvm_mmu_notifier_invalidate_range_start(), virt/kvm/kvm_main.c",
    ),
    Rule(
        "bindings-changed",
        "guest_memfd bindings are the same at the end of an invalidation as at its start.",
        "The counts of start and end do not match: faults hang, or KVM_BUG.",
        "J11: invalidate_lock rules in virt/kvm/guest_memfd.c",
    ),
    Rule(
        "truncate-before-zap",
        "A guest_memfd page is unmapped from the guest before it leaves the page cache.",
        "The guest keeps a page of the file after the hole was punched.",
        "J12: order of kvm_gmem_punch_hole(), virt/kvm/guest_memfd.c",
    ),
    Rule(
        "unbound-pfn",
        "kvm_gmem_get_pfn() returns pages of a bound slot only.",
        "A deleted slot gets a mapping that nobody will ever remove.",
        "J13: checks in __kvm_gmem_get_pfn(), virt/kvm/guest_memfd.c",
    ),
    Rule(
        "deleted-slot-spte",
        "After a slot's deletion is committed, nothing maps its gfns.",
        "The guest reaches memory that user space has taken away, for instance after unmapping it.",
        "J14: comment in kvm_invalidate_memslot(), virt/kvm/kvm_main.c",
    ),
    Rule(
        "generation",
        "Generations of an address space grow, and address spaces never share one.",
        "Caches keyed by generation survive an update they should not.",
        "J15: comments on generations in kvm_swap_active_memslots(), virt/kvm/kvm_main.c",
    ),
    Rule(
        "lost-dirty",
        "A guest write to a logged slot, with no log ioctl under way, has its dirty bit set.",
        "Live migration misses a page.",
        "J16: comment in kvm_get_dirty_log_protect(), virt/kvm/kvm_main.c",
    ),
    Rule(
        "unzeroed",
        "A page is zeroed before anybody sees it.",
        "The guest or the VMM reads what another process left.",
        "J17: kvm_gmem_prepare_folio() and folio_mark_uptodate(), virt/kvm/guest_memfd.c",
    ),
    Rule(
        "poisoned-mapped",
        "A poisoned page is never mapped after its failure was handled.",
        "The guest consumes poison: a machine check kills the host.",
        "J18: comment in kvm_gmem_error_folio(), virt/kvm/guest_memfd.c",
    ),
    Rule(
        "notifier-takes-slots-lock",
        "HVA notifiers take neither slots_lock nor slots_arch_lock.",
        "Reclaim from under a memslot update deadlocks.",
        "J20: locking rules in Documentation/virt/kvm/locking.rst and comments in kvm_main.c",
    ),
    Rule(
        "young-lost",
        "A young hook says yes when a leaf in its range was used since it was last cleared.",
        "Reclaim evicts the guest's hottest pages.",
        "J21: contract of clear_young, include/linux/mmu_notifier.h (best effort)",
    ),
    Rule(
        "gmem-backing",
        "In a gmem-only slot every leaf and TLB entry maps the file's page at that offset.",
        "Guest and VMM see different memory; the guest keeps a page that nobody will take back.",
        "seed patch: faults are resolved from the guest_memfd page cache; "
        "arch/x86/kvm/mmu/mmu.c, kvm_mmu_faultin_pfn_gmem()",
    ),
    Rule(
        "gmem-permission",
        "A leaf of a gmem-only slot has the slot's permission, whatever user space mapped.",
        "mprotect() of the VMM's mapping changes what the guest may do.",
        "seed patch: permissions depend exclusively on the memslot",
    ),
    Rule(
        "gmem-survival",
        "HVA notifiers remove no leaf of a gmem-only slot (where the patch promises it).",
        "Memory that a device writes to through the guest's tables vanishes behind its back.",
        "seed patch: memory will not be unmapped behind the VMM's back",
    ),
    Rule(
        "warn",
        "No WARN of the kernel fires.",
        "A WARN says that a property its author relied on does not hold; with panic_on_warn the "
        "host goes down.",
        "the WARN itself, at the site named",
    ),
    Rule(
        "bug",
        "No KVM_BUG and no BUG fires.",
        "KVM_BUG kills the VM; BUG kills the host's task.",
        "the BUG itself, at the site named",
    ),
    Rule(
        "lockdep",
        "Locks are taken in one order, and nobody sleeps under a spinning lock.",
        "Two tasks can deadlock.",
        "Documentation/virt/kvm/locking.rst",
    ),
    Rule(
        "deadlock",
        "Somebody can always go on.",
        "Tasks hang for good, mostly with mmap_lock or slots_lock held.",
        "progress",
    ),
    Rule(
        "missed-wakeup",
        "Whoever waits for a condition is woken when it comes true.",
        "A memslot update hangs although nothing stands in its way.",
        "rcuwait of kvm_swap_active_memslots(), virt/kvm/kvm_main.c",
    ),
    Rule(
        "livelock",
        "A task that tries again finds something changed.",
        "A vCPU spins for ever.",
        "progress",
    ),
    Rule(
        "equivalence",
        "What the patch does not promise to change stays as it is: results, contents, memslots, "
        "page cache, pfn caches, dirty bitmaps.",
        "User space or the guest can tell the difference.",
        "the patch's own description; fuzz/tolerance.py lists what it promises to change",
    ),
)

RULES: Final[Mapping[str, Rule]] = {rule.slug: rule for rule in _RULES}

# No run can break this one: a run that does is never over, so the judge cannot say it.
HANG: Final = Rule(
    "hang",
    "Every step ends.",
    "A task spins in the kernel and never lets anybody else run: a soft lockup, with whatever "
    "locks it holds; or the model has a loop that the kernel does not have.",
    "progress; told by the clock and not by the judge",
)

# Nor this one: it is not the kernel's, but ours.
PORT_DRIFT: Final = Rule(
    "port-drift",
    "The Python model and the C port take the same steps to the same states.",
    "One of the two is wrong, and what a campaign on the C engine says of such programs is not to "
    "be relied on until that is mended.",
    "gmemdiff lockstep, which shows the first difference",
)

EXPLAINED: Final[Mapping[str, Rule]] = {
    **RULES, HANG.slug: HANG, PORT_DRIFT.slug: PORT_DRIFT,
}  # fmt: skip
