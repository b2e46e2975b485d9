"""The end of an address space: the OOM reaper, and exit.  mm/oom_kill.c and mm/mmap.c."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.frames import put_page
from reference.primitives import Steps, Want, WantRead

if TYPE_CHECKING:
    from reference.kvm import Kvm
    from reference.machine import KvmState

REAP_LOCK = WantRead("mmap_lock", "oom_reap_task_mm.mmap_lock")


class WantQuiet(Want):
    """Waits until no other task is inside an operation: the mm has lost its last user."""

    __slots__ = ()

    def ready(self, kvm: KvmState) -> bool:
        return len(kvm.busy) <= 1

    def on(self, kvm: KvmState) -> str:
        return "the other tasks' operations to end"


EXIT_QUIET = WantQuiet("exit_mmap.last_user")


def oom_reap(kvm: Kvm) -> Steps[int]:
    """Mirror of __oom_reap_task_mm(), mm/oom_kill.c: private VMAs only, must not block."""
    yield REAP_LOCK
    kvm.mmap_lock.read_lock()
    reaped = 0
    for vma in kvm.mm.vmas[:]:
        if vma.shared:
            continue
        yield from kvm.zap_vma_range(vma.start, vma.end, False)
        reaped += 1
    kvm.mmap_lock.read_unlock()
    return reaped


def exit_mmap(kvm: Kvm) -> Steps[int]:
    """Mirror of exit_mmap(), mm/mmap.c: release first, then every mapping goes, unheard.

    Only the last user of an mm gets here (mmput(), kernel/fork.c), so it happens once.
    """
    if kvm.mm_exiting:
        return 0
    kvm.mm_exiting = True
    yield EXIT_QUIET
    kvm.mm_dead = True
    yield from kvm.kvm_mmu_notifier_release()
    yield "exit_mmap.unmap"
    vmas = kvm.mm.vmas
    kvm.mm.vmas = []
    for gpc in kvm.gpc_list:
        gpc.valid = False  # their users are threads of the mm: gone
    for frame in kvm.zap_ptes(0, 1 << 52):
        put_page(kvm, frame)
    kvm.drop_files(vmas)
    return 0
