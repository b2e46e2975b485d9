"""The state of the modelled VM and its host process; no behaviour but reporting.

Field names are the kernel's (struct kvm, include/linux/kvm_host.h; struct mm_struct).
"""

from __future__ import annotations

from reference.features import Profile, features_of
from reference.frames import Frame
from reference.gmem_types import GmemFile
from reference.mm_types import MmStruct
from reference.observer import Observer
from reference.primitives import (
    RANK_GPC_LIST,
    RANK_MMAP,
    RANK_MMU,
    RANK_MN,
    RANK_SLOTS,
    RANK_SLOTS_ARCH,
    Cpu,
    Mutex,
    RwLock,
    Task,
    Want,
)
from reference.srcu import RcuWait, Srcu
from reference.state import (
    INVALID_GPA,
    KVM_REQ_TLB_FLUSH_GUEST,
    GfnToPfnCache,
    MemorySlot,
    Memslots,
    Root,
    Vcpu,
)
from reference.uapi import KVM_USER_MEM_SLOTS_ARM64, KVM_USER_MEM_SLOTS_X86


class KvmState:
    """struct kvm, the host process that owns it, and physical memory."""

    __slots__ = (
        "busy",
        "cpu",
        "dead",
        "dirty_log_initially_set",
        "fail",
        "fault_retries",
        "fds",
        "features",
        "frames",
        "frames_max",
        "free_frames",
        "gpc_invalidate_seq",
        "gpc_list",
        "gpc_lock",
        "gpcs",
        "gpte_accessed",
        "has_private_mem",
        "manual_dirty_log",
        "mem_attr_array",
        "memslot_sets",
        "memslots",
        "mm",
        "mm_dead",
        "mm_exiting",
        "mmap_lock",
        "mmu_invalidate_in_progress",
        "mmu_invalidate_range_end",
        "mmu_invalidate_range_start",
        "mmu_invalidate_seq",
        "mmu_lock",
        "mn_active_invalidate_count",
        "mn_invalidate_lock",
        "mn_memslots_update_rcuwait",
        "notifier_locks",
        "notifier_zaps",
        "nr_as",
        "nr_memslot_pages",
        "pages_4k",
        "pf_fixed",
        "profile",
        "remote_tlb_flush",
        "roots",
        "slots_arch_lock",
        "slots_lock",
        "srcu",
        "tlb_flush",
        "vcpus",
        "waiting",
        "watch",
        "x86",
        "zero_frame",
    )

    def __init__(self, profile: Profile, vm: str, vcpus: int, frames: int, watch: Observer) -> None:
        self.profile = profile
        self.features = features_of(profile)
        self.x86 = profile.mmu != "arm64"
        self.has_private_mem = vm == "sw-protected" and self.features["sw_protected_vm"]
        self.nr_as = 2 if self.x86 and not self.has_private_mem else 1
        self.watch = watch
        self.cpu = cpu = Cpu(Task("setup", -1))
        self.waiting: dict[Task, Want] = {}  # kept by the scheduler
        self.dead = False  # KVM_BUG() happened
        self.mm_exiting = False  # exit_mmap() was called
        self.mm_dead = False  # and goes on
        self.fail: set[str] = set()  # kinds of allocation that fail next

        # memslots
        self.slots_lock = Mutex(cpu, "slots_lock", RANK_SLOTS)
        self.slots_arch_lock = Mutex(cpu, "slots_arch_lock", RANK_SLOTS_ARCH)
        self.srcu = Srcu(cpu)
        self.memslot_sets = [(Memslots(i), Memslots(i)) for i in range(self.nr_as)]
        self.memslots = [sets[0] for sets in self.memslot_sets]
        self.nr_memslot_pages = 0
        self.manual_dirty_log = False
        self.dirty_log_initially_set = False

        # MMU notifiers
        self.mmu_lock = RwLock(cpu, "mmu_lock", RANK_MMU)
        self.mn_invalidate_lock = Mutex(cpu, "mn_invalidate_lock", RANK_MN)
        self.mn_active_invalidate_count = 0
        self.mn_memslots_update_rcuwait = RcuWait(cpu, "mn_memslots_update_rcuwait")
        self.mmu_invalidate_in_progress = 0
        self.mmu_invalidate_seq = 0
        self.mmu_invalidate_range_start = INVALID_GPA
        self.mmu_invalidate_range_end = INVALID_GPA

        # MMU
        self.roots: list[Root] = []
        self.vcpus = [Vcpu(i) for i in range(vcpus)]
        for vcpu in self.vcpus if self.x86 else ():
            vcpu.requests = KVM_REQ_TLB_FLUSH_GUEST  # kvm_vcpu_reset(), arch/x86/kvm/x86.c
        self.gpte_accessed: set[int] = set()  # shadow: gfns whose guest PTE has its A bit
        self.mem_attr_array: dict[int, int] = {}

        # pfn caches
        self.gpc_lock = Mutex(cpu, "gpc_lock", RANK_GPC_LIST)
        self.gpc_list: list[GfnToPfnCache] = []
        self.gpcs: dict[int, GfnToPfnCache] = {}
        self.gpc_invalidate_seq = 0

        # host process and physical memory
        self.mmap_lock = RwLock(cpu, "mmap_lock", RANK_MMAP)
        self.fds: dict[int, GmemFile] = {}
        self.frames: list[Frame] = []
        self.free_frames: list[Frame] = []
        self.frames_max = frames
        self.mm = MmStruct()
        self.zero_frame: Frame | None = None
        self.busy: set[Task] = set()  # tasks inside an op; kept by the scheduler

        # statistics: KVM's own, then what the patch may save
        self.pages_4k = 0
        self.pf_fixed = 0
        self.tlb_flush = 0
        self.remote_tlb_flush = 0
        self.notifier_zaps = 0
        self.notifier_locks = 0
        self.fault_retries = 0

    @property
    def current(self) -> Task:
        """The task that runs."""
        return self.cpu.current

    @current.setter
    def current(self, task: Task) -> None:
        self.cpu.current = task

    @property
    def violations(self) -> dict[tuple[str, str], str]:
        """Broken rules: (rule, site) -> the first text of each."""
        return self.cpu.violations

    def report(self, rule: str, site: str, text: str) -> None:
        """Note that a rule is broken at a site; the first text of each pair is kept."""
        self.cpu.report(rule, site, text)

    def WARN_ON(self, site: str) -> None:  # the kernel's macro keeps its name
        """A WARN of the kernel fired; site is ``function: condition``."""
        self.cpu.WARN_ON(site)

    def KVM_BUG_ON(self, site: str) -> None:
        """A KVM_BUG: the VM is dead from here on."""
        self.dead = True
        self.report("bug", site, f"KVM_BUG in {site}")

    def BUG(self, site: str) -> None:
        """A BUG of the kernel: the host's task dies in the middle of what it did."""
        self.dead = True
        self.report("bug", site, f"BUG in {site}")

    def user_mem_slots(self) -> int:
        """KVM_USER_MEM_SLOTS: ids from here on are KVM's own."""
        return KVM_USER_MEM_SLOTS_X86 if self.x86 else KVM_USER_MEM_SLOTS_ARM64

    def check_slot_alive(self, slot: MemorySlot, user: str) -> None:
        """Report a use of a memslot structure that has been freed (KASAN would)."""
        if slot.freed:
            self.report("use-after-free", f"memslot in {user}", f"{user} uses freed {slot}")

    def take_failure(self, kind: str) -> bool:
        """Tell whether an injected failure of this kind is due, and use it up."""
        if kind in self.fail:
            self.fail.remove(kind)
            return True
        return False
