"""One canonical text of a model's state, for livelock detection, traces and lockstep.

Everything a later step can depend on is in it, in a fixed order; nothing else (no counters).
"""

from __future__ import annotations

import hashlib

from reference.kvm import Kvm
from reference.state import Memslots


def state_digest(kvm: Kvm) -> bytes:
    """Eight bytes that differ when the states differ."""
    return hashlib.blake2b(state_text(kvm).encode(), digest_size=8).digest()


def state_text(kvm: Kvm) -> str:
    """The state in words, one line per kind of object."""
    lines = [
        f"mn {kvm.mn_active_invalidate_count} inv {kvm.mmu_invalidate_in_progress}"
        f" seq {kvm.mmu_invalidate_seq} gpcseq {kvm.gpc_invalidate_seq}"
        f" range {kvm.mmu_invalidate_range_start}..{kvm.mmu_invalidate_range_end}",
        "locks " + " ".join(held_locks(kvm)),
        "srcu " + ",".join(sorted(task.name for task in kvm.srcu.readers)),
    ]
    for as_id in range(kvm.nr_as):
        lines.append(f"as{as_id} {_slots_text(kvm.memslots[as_id])}")
    for root in kvm.roots:
        leaves = " ".join(
            f"{gfn:x}>{spte.frame}{'w' if spte.writable else 'r'}{'a' if spte.accessed else ''}"
            for gfn, spte in sorted(root.sptes.items())
        )
        flags = ("l2" if root.l2 else "") + ("!" if root.invalid else "")
        lines.append(f"root {root.kind}{root.as_id}{flags} {leaves}")
    for vcpu in kvm.vcpus:
        tlb = " ".join(
            f"{key[0]:x}.{key[1]}.{int(key[2])}>pfn{e.frame.pfn}.{e.generation}"
            f"{'w' if e.writable else 'r'}"
            for key, e in sorted(vcpu.tlb.items())
        )
        lines.append(f"vcpu{vcpu.id} mode {vcpu.mode} req {vcpu.requests} tlb {tlb}")
    lines.append(
        f"attr {sorted(kvm.mem_attr_array.items())} gpte {sorted(kvm.gpte_accessed)}"
        f" fail {sorted(kvm.fail)} dead {int(kvm.dead)}{int(kvm.mm_exiting)}{int(kvm.mm_dead)}"
        f" wake {int(kvm.mn_memslots_update_rcuwait.woken)}"
    )
    lines += _host_lines(kvm)
    return "\n".join(lines)


def _slots_text(slots: Memslots) -> str:
    return f"gen {slots.generation:x} " + " ".join(
        f"{s.id}:{s.base_gfn:x}+{s.npages:x}@{s.userspace_addr:x}/{s.flags:x}"
        f"/{s.gmem_file if s.gmem_file is not None else '-'}+{s.gmem_pgoff:x}"
        f"/{'' if s.dirty_bitmap is None else sorted(s.dirty_bitmap)}"
        for _, s in sorted(slots.slots.items())
    )


def _host_lines(kvm: Kvm) -> list[str]:
    lines = ["vma " + " ".join(
        f"{v.start:x}-{v.end:x}:{v.file}+{v.pgoff:x}/{v.prot}" for v in kvm.mm.vmas
    )]  # fmt: skip
    lines.append("pte " + " ".join(
        f"{page:x}>{pte.frame}{'w' if pte.writable else 'r'}{'n' if pte.unreadable else ''}"
        for page, pte in sorted(kvm.mm.ptes.items())
    ))  # fmt: skip
    lines.append("entry " + " ".join(
        f"{page:x}:{e.kind}" for page, e in sorted(kvm.mm.entries.items())
    ))  # fmt: skip
    for fd, file in sorted(kvm.fds.items()):
        pages = " ".join(f"{i:x}>{f}" for i, f in sorted(file.inode.pages.items()))
        bound = " ".join(f"{first:x}-{last:x}:{slot}" for first, last, slot in file.bindings)
        held = file.inode.invalidate_lock.holders()
        lines.append(f"gmem{fd} refs {file.refs} lock {held} pages {pages} bound {bound}")
    lines.append("gpc " + " ".join(
        f"{n}:{int(g.active)}{int(g.valid)}@{g.uhva:x}>{g.frame}/{g.generation}"
        f"/{g.lock.holders()}/{g.refresh_lock.holders()}"
        for n, g in sorted(kvm.gpcs.items())
    ))  # fmt: skip
    lines.append("frames " + " ".join(
        f"{f}:{f.refs}:{f.content}:{f.lock.holders()}" for f in kvm.frames if not f.free
    ))  # fmt: skip
    return lines


def held_locks(kvm: Kvm) -> list[str]:
    """Which locks are held, and by whom: ``mmu_lock=mm0(w)``."""
    locks = (
        kvm.slots_lock,
        kvm.slots_arch_lock,
        kvm.mmap_lock,
        kvm.mn_invalidate_lock,
        kvm.gpc_lock,
        kvm.mmu_lock,
    )
    return [f"{lock.name}={lock.holders()}" for lock in locks if not lock.free()]
