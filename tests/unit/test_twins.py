"""One run for two sides: only where nobody could tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.overlay import load_model
from fuzz.text import parse
from fuzz.twins import Twins

STOCK = load_model("stock")
SEED = load_model("seed")
HEADER = "gmemdiff 1\nprofile: v7.2 x86-tdp\n"
GMEM_SLOT = """setup:
  create_gmem fd=gmem0 size=4p
  mmap hva=A len=4p fd=gmem0 share=shared
  set_region slot=0 size=4p hva=A flags=GUEST_MEMFD fd=gmem0
  mmap hva=B len=4p share=private
"""


def test_a_slot_that_the_patch_skips_needs_both_runs() -> None:
    twins = Twins(STOCK, SEED)
    ours, theirs = twins.run(parse(HEADER + GMEM_SLOT + "vmm0:\n  munmap hva=A len=4p\n"))
    assert ours is not theirs
    ours, theirs = twins.run(parse(HEADER + GMEM_SLOT + "vmm0:\n  munmap hva=B len=4p\n"))
    assert ours is theirs


def test_a_model_that_does_not_say_it_only_looks_is_run_on_both_sides() -> None:
    assert Twins(STOCK, SEED).asked == ("kvm_for_each_memslot_in_hva_range",)
    assert Twins(STOCK, load_model("mutants/no_flush")).asked == ()
    assert Twins(STOCK, load_model("mutants/seed_break")).asked == ()


def test_the_reference_against_itself_is_run_twice() -> None:
    ours, theirs = Twins(STOCK, STOCK).run(parse(HEADER + "vmm0:\n  nop\n"))
    assert ours is not theirs


@pytest.mark.parametrize(
    ("body", "same"),
    [
        ("return vcpu.requests != 0", True),
        ("return False", False),
    ],
)
def test_a_yes_or_no_question_is_put_to_both(tmp_path: Path, body: str, same: bool) -> None:
    overlay = tmp_path / "entry.py"
    overlay.write_text(f"PURE = True\n\n\ndef kvm_vcpu_exit_request(kvm, vcpu):\n    {body}\n")
    text = (
        HEADER
        + GMEM_SLOT
        + "vcpu0:\n  read gfn=0\n  read gfn=1\nvmm0:\n  nop\n  munmap hva=A len=4p\n"
        + "schedule:\n  vcpu0[1] at vcpu_enter_guest.mode#1 -> vmm0\n"
    )
    ours, theirs = Twins(STOCK, load_model(str(overlay))).run(parse(text))
    assert (ours is theirs) == same
