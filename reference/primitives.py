"""Tasks, steps and locks of the step engine, with the checks lockdep would make.

A model function is a generator.  Each ``yield`` is a step boundary: any other task may run
there.  What it yields says how to go on:

* a ``str`` is the label of the step that comes next; the task stays runnable;
* a ``Want`` also has a label, and the task is runnable only while ``ready()`` holds;
  a lock is taken by the statement after the yield, which therefore never has to wait;
* a ``Retry`` is a label at which the task gives up its processor, because what it waits for is
  another task's progress (a fault that must be taken again).

Ranks give the one lock order that this kernel code follows, as read from
Documentation/virt/kvm/locking.rst and the call chains of the fact sheet.  Taking a lock of equal
or lower rank while holding another is reported, and so is sleeping under a spinning lock.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference.gmem_types import GmemFile
    from reference.machine import KvmState

T = TypeVar("T")
Steps = Generator["str | Want", None, T]

RANK_SLOTS: Final = 10
RANK_SLOTS_ARCH: Final = 20
RANK_GPC_REFRESH: Final = 25
RANK_MMAP: Final = 30
RANK_INVALIDATE: Final = 40
RANK_FOLIO: Final = 50
FIRST_SPINNING: Final = 60
RANK_MN: Final = 60
RANK_GPC_LIST: Final = 65
RANK_GPC: Final = 66
RANK_MMU: Final = 70

# Pairs (held, taken) against the ranks that the kernel itself has; see the fact sheet, J.
TOLERATED_INVERSIONS: Final = frozenset({("folio_lock", "invalidate_lock")})


class Task:
    """A thread of execution: an actor of the program, or the setup task."""

    __slots__ = (
        "held",
        "index",
        "name",
        "notifier_depth",
        "srcu_depth",
        "task_work",
    )

    def __init__(self, name: str, index: int) -> None:
        self.name = name
        self.index = index
        self.held: list[Mutex | RwLock] = []
        self.srcu_depth = 0
        self.notifier_depth = 0  # >0 inside an HVA notifier callback
        self.task_work: list[GmemFile] = []  # files whose last reference this task dropped

    def __repr__(self) -> str:
        return self.name


class Cpu:
    """What runs now, and what went wrong so far: all that a lock knows of the world around it.

    Locks do not know the VM they are part of: they and it would keep each other alive, and every
    finished run would wait for the garbage collector instead of being freed at once.
    """

    __slots__ = ("current", "on_report", "violations")

    def __init__(self, current: Task) -> None:
        self.current = current
        self.violations: dict[tuple[str, str], str] = {}
        self.on_report: Callable[[str, str, str], None] | None = None

    def report(self, rule: str, site: str, text: str) -> None:
        """Note that a rule is broken at a site; the first text of each pair is kept."""
        if (rule, site) not in self.violations:
            self.violations[rule, site] = text
            if self.on_report is not None:
                self.on_report(rule, site, text)

    def WARN_ON(self, site: str) -> None:  # the kernel's macro keeps its name
        """A WARN of the kernel fired; site is ``function: condition``."""
        self.report("warn", site, f"WARN in {site}")


class Want:
    """A step boundary that can be passed only while a condition holds."""

    __slots__ = ("label",)
    gives_up_turn = False

    def __init__(self, label: str) -> None:
        self.label = label

    def ready(self, kvm: KvmState) -> bool:
        """Tell whether the task that waits here may run."""
        raise NotImplementedError

    def on(self, kvm: KvmState) -> str:
        """Say in words what is waited for, and who has it."""
        raise NotImplementedError

    def holders(self, kvm: KvmState) -> list[Task]:
        """The tasks that must move for this one to go on, as far as that is known."""
        return []


class Retry(Want):
    """The task starts over, and lets the others run first."""

    __slots__ = ()
    gives_up_turn = True

    def ready(self, kvm: KvmState) -> bool:
        return True

    def on(self, kvm: KvmState) -> str:
        return "another try"


class Mutex:
    """A mutex, or with a rank of FIRST_SPINNING or more, a spinlock."""

    __slots__ = ("cpu", "name", "owner", "rank")

    def __init__(self, cpu: Cpu, name: str, rank: int) -> None:
        self.cpu = cpu
        self.name = name
        self.rank = rank
        self.owner: Task | None = None

    def lock(self) -> None:
        """Take the lock.  The caller yielded a Want for it just before."""
        task = self.cpu.current
        if self.owner is not None:
            self.cpu.report("lockdep", self.name, f"{task} takes a lock that {self.owner} holds")
        held = task.held
        if held and held[-1].rank >= self.rank:  # in order, the last one has the highest rank
            _check_order(self.cpu, task, self)
        self.owner = task
        held.append(self)

    def unlock(self) -> None:
        """Drop the lock; only its owner may."""
        task = self.cpu.current
        if self.owner is not task:
            self.cpu.report("lockdep", self.name, f"{task} drops a lock of {self.owner}")
            return
        self.owner = None
        task.held.remove(self)

    def free(self) -> bool:
        return self.owner is None

    def holders(self) -> str:
        return self.owner.name if self.owner is not None else ""

    def held_by(self) -> list[Task]:
        return [self.owner] if self.owner is not None else []


class RwLock:
    """A reader-writer lock: rwsem below FIRST_SPINNING, rwlock_t from there on."""

    __slots__ = ("cpu", "name", "rank", "readers", "writer")

    def __init__(self, cpu: Cpu, name: str, rank: int) -> None:
        self.cpu = cpu
        self.name = name
        self.rank = rank
        self.writer: Task | None = None
        self.readers: list[Task] = []

    def write_lock(self) -> None:
        """Take the lock for writing."""
        task = self.cpu.current
        if self.writer is not None or self.readers:
            self.cpu.report("lockdep", self.name, f"{task} write-locks; {self.holders()} has it")
        held = task.held
        if held and held[-1].rank >= self.rank:  # in order, the last one has the highest rank
            _check_order(self.cpu, task, self)
        self.writer = task
        task.held.append(self)

    def write_unlock(self) -> None:
        """Drop the lock held for writing."""
        task = self.cpu.current
        if self.writer is not task:
            self.cpu.report("lockdep", self.name, f"{task} write-unlocks, not its writer")
            return
        self.writer = None
        task.held.remove(self)

    def read_lock(self) -> None:
        """Take the lock for reading."""
        task = self.cpu.current
        if self.writer is not None:
            self.cpu.report("lockdep", self.name, f"{task} read-locks; {self.writer} writes")
        held = task.held
        if held and held[-1].rank >= self.rank:  # in order, the last one has the highest rank
            _check_order(self.cpu, task, self)
        self.readers.append(task)
        task.held.append(self)

    def read_unlock(self) -> None:
        """Drop the lock held for reading."""
        task = self.cpu.current
        if task not in self.readers:
            self.cpu.report("lockdep", self.name, f"{task} read-unlocks, not a reader")
            return
        self.readers.remove(task)
        task.held.remove(self)

    def downgrade(self) -> None:
        """Turn the write side into a read side (mmap_write_downgrade)."""
        task = self.cpu.current
        self.writer = None
        self.readers.append(task)

    def assert_held_write(self) -> None:
        """lockdep_assert_held_write()."""
        if self.writer is not self.cpu.current:
            self.cpu.report("lockdep", self.name, f"{self.cpu.current} needs it held for write")

    def free(self) -> bool:
        return self.writer is None and not self.readers

    def holders(self) -> str:
        """Who has it, and how: ``vmm0(w)`` or ``vcpu0(r),vcpu1(r)``."""
        if self.writer is not None:
            return f"{self.writer.name}(w)"
        return ",".join(f"{task.name}(r)" for task in self.readers)

    def held_by(self) -> list[Task]:
        return [*self.readers, *([self.writer] if self.writer is not None else [])]


def _check_order(cpu: Cpu, task: Task, lock: Mutex | RwLock) -> None:
    """Report a lock taken against the ranks, or a sleeping one taken under a spinning one."""
    for held in task.held:
        if held.rank >= lock.rank:
            if (held.name, lock.name) in TOLERATED_INVERSIONS:
                continue
            kind = "sleeps under" if lock.rank < FIRST_SPINNING <= held.rank else "after"
            cpu.report("lockdep", f"{held.name}>{lock.name}", f"{lock.name} {kind} {held.name}")


class WantMutex(Want):
    """Waits for a Mutex that is an attribute of the VM; one object serves every VM."""

    __slots__ = ("attribute",)

    def __init__(self, attribute: str, label: str) -> None:
        self.label = label
        self.attribute = attribute

    def ready(self, kvm: KvmState) -> bool:
        return getattr(kvm, self.attribute).owner is None

    def on(self, kvm: KvmState) -> str:
        return f"{self.attribute} held by {getattr(kvm, self.attribute).holders()}"

    def holders(self, kvm: KvmState) -> list[Task]:
        """Whoever holds the lock in any way."""
        found: list[Task] = getattr(kvm, self.attribute).held_by()
        return found


class WantWrite(WantMutex):
    """Waits to write-lock a RwLock that is an attribute of the VM."""

    __slots__ = ()

    def ready(self, kvm: KvmState) -> bool:
        """Nobody holds it in any way."""
        lock = getattr(kvm, self.attribute)
        return lock.writer is None and not lock.readers


class WantRead(WantMutex):
    """Waits to read-lock a RwLock that is an attribute of the VM."""

    __slots__ = ()

    def ready(self, kvm: KvmState) -> bool:
        return getattr(kvm, self.attribute).writer is None


class WantLock(Want):
    """Waits for one given lock to be free (mutex, or the write side)."""

    __slots__ = ("lock",)

    def __init__(self, lock: Mutex | RwLock, label: str) -> None:
        self.label = label
        self.lock = lock

    def ready(self, kvm: KvmState) -> bool:
        return self.lock.free()

    def on(self, kvm: KvmState) -> str:
        return f"{self.lock.name} held by {self.lock.holders()}"

    def holders(self, kvm: KvmState) -> list[Task]:
        return self.lock.held_by()


class WantShared(Want):
    """Waits for the read side of one given RwLock."""

    __slots__ = ("lock",)

    def __init__(self, lock: RwLock, label: str) -> None:
        self.label = label
        self.lock = lock

    def ready(self, kvm: KvmState) -> bool:
        return self.lock.writer is None

    def on(self, kvm: KvmState) -> str:
        return f"{self.lock.name} held by {self.lock.holders()}"

    def holders(self, kvm: KvmState) -> list[Task]:
        return self.lock.held_by()
