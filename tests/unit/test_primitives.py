"""Locks, SRCU and wait queues: what they let through, and what they report."""

from __future__ import annotations

import pytest

from reference.features import Profile
from reference.kvm import Kvm
from reference.observer import Observer
from reference.primitives import Mutex, RwLock, Task, WantLock, WantRead, WantWrite
from reference.srcu import WantWakeUp


@pytest.fixture
def kvm() -> Kvm:
    return Kvm(Profile("v7.2", "x86-tdp"), "default", 1, 64, Observer())


def rules(kvm: Kvm) -> list[str]:
    return [rule for rule, _ in kvm.violations]


def test_a_mutex_is_wanted_until_its_owner_drops_it(kvm: Kvm) -> None:
    want = WantLock(kvm.slots_lock, "here")
    assert want.ready(kvm)
    kvm.slots_lock.lock()
    assert not want.ready(kvm)
    assert want.on(kvm) == "slots_lock held by setup"
    kvm.slots_lock.unlock()
    assert want.ready(kvm)
    assert kvm.violations == {}


def test_readers_share_a_rwlock_and_keep_writers_out(kvm: Kvm) -> None:
    read, write = WantRead("mmu_lock", "r"), WantWrite("mmu_lock", "w")
    kvm.mmu_lock.read_lock()
    assert read.ready(kvm)
    assert not write.ready(kvm)
    kvm.current = Task("other", 1)
    kvm.mmu_lock.read_lock()
    assert kvm.mmu_lock.holders() == "setup(r),other(r)"
    kvm.mmu_lock.read_unlock()
    assert not write.ready(kvm)


def test_taking_a_lock_against_the_ranks_is_reported(kvm: Kvm) -> None:
    kvm.mmu_lock.write_lock()
    kvm.slots_lock.lock()
    assert ("lockdep", "mmu_lock>slots_lock") in kvm.violations
    assert "sleeps under" in kvm.violations["lockdep", "mmu_lock>slots_lock"]


def test_taking_locks_in_rank_order_is_fine(kvm: Kvm) -> None:
    for lock in (kvm.slots_lock, kvm.slots_arch_lock, kvm.mn_invalidate_lock):
        lock.lock()
    kvm.mmu_lock.write_lock()
    assert kvm.violations == {}


def test_the_one_inversion_that_the_kernel_has_is_tolerated(kvm: Kvm) -> None:
    folio, invalidate = Mutex(kvm.cpu, "folio_lock", 50), RwLock(kvm.cpu, "invalidate_lock", 40)
    folio.lock()
    invalidate.read_lock()
    assert kvm.violations == {}


def test_dropping_a_lock_of_somebody_else_is_reported(kvm: Kvm) -> None:
    kvm.slots_lock.lock()
    kvm.current = Task("thief", 1)
    kvm.slots_lock.unlock()
    assert rules(kvm) == ["lockdep"]
    assert kvm.slots_lock.holders() == "setup"


def test_synchronize_srcu_waits_for_earlier_readers_only(kvm: Kvm) -> None:
    kvm.current = early = Task("early", 1)
    kvm.srcu.read_lock()
    kvm.current = Task("updater", 2)
    want = kvm.srcu.synchronize("sync")
    kvm.current = late = Task("late", 3)
    kvm.srcu.read_lock()
    assert not want.ready(kvm)
    assert want.on(kvm) == "SRCU readers early"
    kvm.current = early
    kvm.srcu.read_unlock()
    assert want.ready(kvm)
    kvm.srcu.read_lock()  # a new section of an old reader does not count
    assert want.ready(kvm)
    kvm.current = late
    kvm.srcu.read_unlock()
    assert kvm.violations == {}


def test_waiting_for_srcu_inside_a_section_is_reported(kvm: Kvm) -> None:
    kvm.srcu.read_lock()
    kvm.srcu.synchronize("sync")
    assert rules(kvm) == ["lockdep"]


def test_a_sleeper_runs_when_it_is_woken_and_not_before(kvm: Kvm) -> None:
    queue = kvm.mn_memslots_update_rcuwait
    queue.prepare()
    want = WantWakeUp(queue, "sleep")
    assert not want.ready(kvm)
    queue.wake_up()
    assert want.ready(kvm)


def test_a_second_sleeper_on_an_rcuwait_is_reported(kvm: Kvm) -> None:
    kvm.mn_memslots_update_rcuwait.prepare()
    kvm.mn_memslots_update_rcuwait.prepare()
    assert rules(kvm) == ["warn"]
