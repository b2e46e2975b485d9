"""The scheduler: turns, preemptions, blocking, and every way in which a run ends."""

from __future__ import annotations

import gc

import pytest

from fuzz.execution import End, Execution, HarnessError, Plan, Run
from fuzz.invariants import Oracles
from fuzz.overlay import load_model
from fuzz.text import parse
from reference.kvm import Kvm
from reference.primitives import Retry, Steps

A = 0x40000000
HEADER = "gmemdiff 1\nprofile: v7.2 x86-tdp\n"
GMEM_SLOT = """setup:
  create_gmem fd=gmem0 size=4p
  mmap hva=A len=4p fd=gmem0 share=shared
  set_region slot=0 size=4p hva=A flags=GUEST_MEMFD fd=gmem0
"""


class Log:
    """Keeps (actor, op, label) of every step."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, int, str]] = []

    def step(self, kvm: Kvm, actor: str, op: int, label: str) -> None:
        self.steps.append((actor, op, label))

    def order(self) -> list[str]:
        """Ops in the order in which they ended, as actor[op]."""
        last: dict[str, int] = {}
        for number, (actor, op, _) in enumerate(self.steps):
            last[f"{actor}[{op}]"] = number
        return [name for name in sorted(last, key=lambda n: last[n]) if "setup" not in name]


def run(text: str, model: str = "stock", steps_max: int = 20_000) -> tuple[Run, Log]:
    log = Log()
    execution = Execution(
        load_model(model).kvm, Plan.of(parse(text)), Oracles(False), log, steps_max
    )
    return execution.run(), log


def test_actors_take_turns_op_by_op() -> None:
    _, log = run(HEADER + "vmm0:\n  nop\n  nop\n  nop\nvcpu0:\n  nop\n  nop\n")
    assert log.order() == ["vmm0[0]", "vcpu0[0]", "vmm0[1]", "vcpu0[1]", "vmm0[2]"]


def test_setup_runs_alone_before_anybody_else() -> None:
    _, log = run(HEADER + GMEM_SLOT + "vcpu0:\n  read gfn=0\n")
    actors = [actor for actor, _, _ in log.steps]
    assert actors == sorted(actors)  # "setup" comes before "vcpu0"


def test_a_preemption_at_a_label_lets_the_other_actor_run_there() -> None:
    text = (
        HEADER
        + GMEM_SLOT
        + (
            "vcpu0:\n  read gfn=0\nvmm0:\n  user_write hva=A value=9\n"
            "schedule:\n  vcpu0[0] at kvm_tdp_mmu_map.install#1 -> vmm0\n"
        )
    )
    result, log = run(text)
    assert log.order() == ["vmm0[0]", "vcpu0[0]"]
    assert result.results["vcpu0", 0] == "9"
    assert [p.label for p in result.taken] == ["kvm_tdp_mmu_map.install"]


def test_a_preemption_counts_occurrences_within_one_op() -> None:
    text = (
        HEADER
        + GMEM_SLOT
        + ("vcpu0:\n  read gfn=0\nvmm0:\n  nop\nschedule:\n  vcpu0[0] at guest.access#2 -> vmm0\n")
    )
    result, log = run(text)
    where = log.steps.index(("vmm0", 0, "begin"))
    assert [s for s in log.steps[:where] if s[2] == "guest.access"] == [
        ("vcpu0", 0, "guest.access")
    ]
    assert result.stale(parse(text)) == []


def test_a_preemption_at_begin_lets_another_actor_go_first() -> None:
    _, log = run(
        HEADER + "vmm0:\n  nop\nvcpu0:\n  nop\n  nop\nschedule:\n  vmm0[0] at begin#1 -> vcpu0\n"
    )
    assert log.order()[0] == "vcpu0[0]"


def test_a_preemption_whose_step_is_never_reached_is_told() -> None:
    text = HEADER + "vmm0:\n  nop\nvcpu0:\n  nop\nschedule:\n  vmm0[0] at no.such.step#1 -> vcpu0\n"
    result, _ = run(text)
    assert result.stale(parse(text)) == list(parse(text).schedule)


def test_a_task_that_wants_a_held_lock_lets_others_run_and_goes_on_later() -> None:
    text = (
        HEADER
        + GMEM_SLOT
        + (
            "vmm0:\n  set_region slot=0 size=0p\nvmm1:\n  set_region slot=0 size=0p\n"
            "schedule:\n  vmm0[0] at kvm_set_memslot.slots_arch_lock#1 -> vmm1\n"
        )
    )
    result, log = run(text)
    assert result.end is End.FINISHED
    assert log.order() == ["vmm0[0]", "vmm1[0]"]
    assert result.results["vmm1", 0] == "EINVAL"


def test_tasks_that_wait_for_each_other_are_a_deadlock_with_names() -> None:
    result, _ = run(
        HEADER + GMEM_SLOT + "vmm0:\n  set_region slot=0 size=0p\n", "mutants/arch_lock_kept"
    )
    assert result.end is End.DEADLOCK
    assert result.stuck[0].endswith("waits for slots_arch_lock held by setup")
    assert ("lockdep", "return with slots_arch_lock") in result.kvm.violations


def test_a_wait_whose_condition_holds_but_nobody_woke_is_a_missed_wake_up() -> None:
    text = (
        HEADER
        + GMEM_SLOT
        + (
            "vmm0:\n  munmap hva=A len=1p\nvmm1:\n  set_region slot=0 size=0p\n"
            "schedule:\n  vmm0[0] at unmap_vmas.zap_ptes#1 -> vmm1\n"
        )
    )
    fine, _ = run(text)
    assert fine.end is End.FINISHED
    bad, _ = run(text, "mutants/no_wake_up")
    assert [rule for rule, _ in bad.kvm.violations] == ["missed-wakeup"]


def test_a_retry_that_comes_back_to_the_same_state_is_a_livelock() -> None:
    text = HEADER + GMEM_SLOT + ("vmm0:\n  munmap hva=A len=1p\nvcpu0:\n  read gfn=0\n")
    bad, _ = run(text, "mutants/seed_end_only")
    assert "livelock" in [rule for rule, _ in bad.kvm.violations]
    assert bad.end is End.LIVELOCK


def test_the_step_budget_ends_a_run_without_a_finding() -> None:
    result, _ = run(HEADER + GMEM_SLOT + "vcpu0:\n  read gfn=0\n  read gfn=1\n", steps_max=20)
    assert result.end is End.BUDGET
    assert result.kvm.violations == {}


def test_an_op_that_steps_for_ever_ends_by_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(kvm: Kvm, hva: int, length: int) -> Steps[int]:
        while True:
            yield "do_munmap.endless"

    monkeypatch.setattr(Kvm, "do_munmap", endless)
    result, _ = run(HEADER + "vmm0:\n  munmap hva=A len=1p\n", steps_max=100)
    assert result.end is End.BUDGET


def test_a_setup_that_tries_again_for_ever_is_a_livelock(monkeypatch: pytest.MonkeyPatch) -> None:
    again = Retry("do_munmap.again")

    def spinning(kvm: Kvm, hva: int, length: int) -> Steps[int]:
        while True:
            yield again

    monkeypatch.setattr(Kvm, "do_munmap", spinning)
    result, _ = run(HEADER + "setup:\n  munmap hva=A len=1p\nvmm0:\n  nop\n")
    assert result.end is End.LIVELOCK
    assert "setup[0] at do_munmap.again" in result.stuck[0]


def munmap_that_waits_for_another(monkeypatch: pytest.MonkeyPatch, ends: bool) -> None:
    """vmm0's munmap of A tries again until that of A+1p has done its steps; or for ever."""
    again = Retry("do_munmap.again")
    done: list[bool] = []

    def munmap(kvm: Kvm, hva: int, length: int) -> Steps[int]:
        if hva == A:
            while not done:
                yield again
        else:
            for _ in range(8):
                yield "do_munmap.step"
            done.extend([True] * ends)
        return 0

    monkeypatch.setattr(Kvm, "do_munmap", munmap)


TWO_MUNMAPS = HEADER + "vmm0:\n  munmap hva=A len=1p\nvmm1:\n  munmap hva=A+1p len=1p\nschedule:\n"
BACK_AT_ONCE = "".join(f"  vmm1[0] at do_munmap.step#{n} -> vmm0\n" for n in range(1, 9))


def test_who_is_handed_back_the_turn_at_once_is_no_livelock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing has moved but the schedule: its last preemption lets the other one end."""
    munmap_that_waits_for_another(monkeypatch, ends=True)
    result, _ = run(TWO_MUNMAPS + BACK_AT_ONCE)
    assert result.end is End.FINISHED
    assert len(result.taken) == 8
    assert result.kvm.violations == {}


@pytest.mark.parametrize(
    "schedule",
    [
        BACK_AT_ONCE,
        "  vmm0[0] at do_munmap.again#2 -> vmm1\n",  # passed, and come to ever again
        "  vmm0[0] at do_munmap.never#1 -> vmm1\n",
    ],
)
def test_who_tries_again_for_ever_is_a_livelock_whatever_the_schedule_says(
    monkeypatch: pytest.MonkeyPatch, schedule: str
) -> None:
    munmap_that_waits_for_another(monkeypatch, ends=False)
    result, _ = run(TWO_MUNMAPS + schedule)
    assert result.end is End.LIVELOCK
    assert result.steps < 100
    assert [site for _, site in result.kvm.violations] == ["do_munmap.again"]


def test_a_crash_of_the_model_is_a_harness_error_that_says_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(kvm: Kvm, hva: int, length: int) -> Steps[int]:
        yield "do_munmap.boom"
        raise KeyError("boom")

    monkeypatch.setattr(Kvm, "do_munmap", broken)
    with pytest.raises(HarnessError, match=r"KeyError in vmm0\[0\] at do_munmap.boom"):
        run(HEADER + "vmm0:\n  munmap hva=A len=1p\n")


def test_a_run_that_nobody_keeps_is_freed_without_the_garbage_collector() -> None:
    text = HEADER + GMEM_SLOT + "vcpu0:\n  read gfn=0\nvmm0:\n  munmap hva=A len=4p\n"
    gc.collect()
    gc.disable()
    try:
        before = machines()
        kept = run(text)
        assert machines() == before + 1
        del kept
        assert machines() == before
    finally:
        gc.enable()


def machines() -> int:
    """How many models there are in memory."""
    return sum(isinstance(thing, Kvm) for thing in gc.get_objects())
