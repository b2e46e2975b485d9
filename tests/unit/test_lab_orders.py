"""Which serial orders a schedule allows."""

from __future__ import annotations

from fuzz.text import parse
from tools.lab.orders import serial_orders

HEAD = "gmemdiff 1\nprofile: v7.2 x86-tdp\ngeometry: vcpus=1 frames=64\n"
SETUP = """setup:
  create_gmem fd=gmem0 size=4p
  set_region slot=0 size=4p flags=GUEST_MEMFD fd=gmem0
"""


def orders(text: str, limit: int = 16) -> list[str]:
    """Each order as words, without the setup."""
    return [
        " ".join(f"{turn.actor}[{turn.index}]" for turn in order if turn.actor != "setup")
        for order in serial_orders(parse(text), limit)
    ]


def test_without_preemptions_actors_take_turns_op_by_op() -> None:
    text = f"{HEAD}{SETUP}vcpu0:\n  read gfn=0\n  read gfn=1\nvmm0:\n  nop\n  nop\n  nop\n"
    assert orders(text) == ["vcpu0[0] vmm0[0] vcpu0[1] vmm0[1] vmm0[2]"]


def test_the_setup_comes_first_in_every_order() -> None:
    (order,) = serial_orders(parse(f"{HEAD}{SETUP}vmm0:\n  nop\n"))
    assert [turn.actor for turn in order] == ["setup", "setup", "vmm0"]


def test_two_ops_of_which_one_preempts_the_other_may_go_either_way() -> None:
    text = f"""{HEAD}{SETUP}vcpu0:
  read gfn=0
vmm0:
  fallocate fd=gmem0 mode=KEEP_SIZE|PUNCH_HOLE offset=0p len=1p
  nop
schedule:
  vcpu0[0] at kvm_tdp_mmu_page_fault.mmu_lock#1 -> vmm0
"""
    found = orders(text)
    # The first is that in which ops end on the model, where the fault has to be tried again.
    assert found[0] == "vmm0[0] vmm0[1] vcpu0[0]"
    assert {"vmm0[0] vcpu0[0] vmm0[1]", "vcpu0[0] vmm0[0] vmm0[1]"} < set(found)
    assert all(order.index("vmm0[0]") < order.index("vmm0[1]") for order in found)


def test_the_number_of_orders_is_bounded() -> None:
    ops = "".join(f"  user_read hva=A+{i}p\n" for i in range(12))
    text = f"""{HEAD}{SETUP}vcpu0:
  read gfn=0
vmm0:
{ops}schedule:
  vcpu0[0] at kvm_tdp_mmu_page_fault.mmu_lock#1 -> vmm0
"""
    assert len(orders(text, 3)) <= 3


def test_ops_that_wait_for_each_other_for_ever_still_have_an_order() -> None:
    text = open_deadlock()
    found = orders(text)
    assert found
    assert all(sorted(order.split()) == sorted(found[0].split()) for order in found)


def open_deadlock() -> str:
    """A program that deadlocks on the model: punching and failing one page."""
    from pathlib import Path

    path = Path(__file__).parents[2] / "corpora/findings/punch_versus_memory_failure__deadlock.prog"
    return path.read_text(encoding="utf-8")
