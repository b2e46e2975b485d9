"""SRCU and the wait queue of the step engine: waiting for others rather than for a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference.primitives import Cpu, Task, Want

if TYPE_CHECKING:
    from reference.machine import KvmState


class Srcu:
    """One SRCU domain: readers never wait; synchronize waits for those that were there."""

    __slots__ = ("cpu", "readers", "sections")

    def __init__(self, cpu: Cpu) -> None:
        self.cpu = cpu
        self.readers: dict[Task, int] = {}  # task -> number of its current section
        self.sections = 0

    def read_lock(self) -> None:
        """Enter a read-side section; sections of one task nest."""
        task = self.cpu.current
        if task.srcu_depth == 0:
            self.sections += 1
            self.readers[task] = self.sections
        task.srcu_depth += 1

    def read_unlock(self) -> None:
        """Leave a read-side section."""
        task = self.cpu.current
        if task.srcu_depth == 0:
            self.cpu.report("lockdep", "srcu", f"{task} leaves an SRCU section it is not in")
            return
        task.srcu_depth -= 1
        if task.srcu_depth == 0:
            del self.readers[task]

    def synchronize(self, label: str) -> WantSrcu:
        """What synchronize_srcu() waits for: yield the result."""
        task = self.cpu.current
        if task.srcu_depth:
            self.cpu.report("lockdep", "srcu", f"{task} waits for SRCU inside a section")
        return WantSrcu(self, dict(self.readers), label)


class WantSrcu(Want):
    """Waits until every reader of a snapshot has left its section."""

    __slots__ = ("snapshot", "srcu")

    def __init__(self, srcu: Srcu, snapshot: dict[Task, int], label: str) -> None:
        self.label = label
        self.srcu = srcu
        self.snapshot = snapshot

    def ready(self, kvm: KvmState) -> bool:
        """Every section of the snapshot has ended."""
        readers = self.srcu.readers
        return all(readers.get(task) != section for task, section in self.snapshot.items())

    def on(self, kvm: KvmState) -> str:
        """The readers that are still in their section."""
        readers = self.srcu.readers
        names = [t.name for t, section in self.snapshot.items() if readers.get(t) == section]
        return f"SRCU readers {','.join(names)}"

    def holders(self, kvm: KvmState) -> list[Task]:
        """The readers that are still in their section, in whatever order they entered it."""
        readers = self.srcu.readers
        inside = [task for task, section in self.snapshot.items() if readers.get(task) == section]
        return sorted(inside, key=lambda task: task.index)


class RcuWait:
    """A wait queue of at most one task (struct rcuwait).

    The sleeper is runnable after wake_up(), not merely once its condition has come true: a
    wake-up that nobody sends is found as a deadlock.
    """

    __slots__ = ("cpu", "name", "sleeper", "woken")

    def __init__(self, cpu: Cpu, name: str) -> None:
        self.cpu = cpu
        self.name = name
        self.sleeper: Task | None = None
        self.woken = False

    def prepare(self) -> None:
        """prepare_to_rcuwait(): from here on a wake-up is not lost."""
        if self.sleeper is not None:
            self.cpu.WARN_ON("rcuwait: a second waiter")
        self.sleeper = self.cpu.current
        self.woken = False

    def finish(self) -> None:
        """finish_rcuwait()."""
        self.sleeper = None

    def wake_up(self) -> None:
        """rcuwait_wake_up()."""
        self.woken = True


class WantWakeUp(Want):
    """Waits to be woken on a RcuWait."""

    __slots__ = ("queue",)

    def __init__(self, queue: RcuWait, label: str) -> None:
        self.label = label
        self.queue = queue

    def ready(self, kvm: KvmState) -> bool:
        return self.queue.woken

    def on(self, kvm: KvmState) -> str:
        return f"a wake-up of {self.queue.name}"
