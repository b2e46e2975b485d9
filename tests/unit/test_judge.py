"""The judge: who breaks what, what is promised, and what only comes from drift."""

from __future__ import annotations

from pathlib import Path

from fuzz.judge import Judgement, Verdict, fingerprint, judge
from fuzz.overlay import load_model
from fuzz.text import parse

SEED, STOCK = load_model("seed"), load_model("stock")
GMEM = """gmemdiff 1
profile: v7.2 x86-tdp
setup:
  create_gmem fd=gmem0 size=2p
  mmap hva=A len=2p fd=gmem0 share=shared
  user_write hva=A value=1
  set_region slot=0 size=2p hva=A flags=GUEST_MEMFD fd=gmem0
"""
ORDINARY = """gmemdiff 1
profile: v7.2 x86-tdp
setup:
  mmap hva=A len=2p share=private
  user_write hva=A value=1
  set_region slot=0 size=2p hva=A
"""


def verdict(
    text: str, patched: str = "seed", reference: str = "stock", runs_max: int = 10_000
) -> Judgement:
    return judge(parse(text), load_model(reference), load_model(patched), runs_max)


def test_what_the_patch_promises_is_counted_as_benefit_and_not_held_against_it() -> None:
    found = verdict(GMEM + "vcpu0:\n  read gfn=0\nvmm0:\n  mprotect hva=A len=1p prot=READ\n")
    assert found.lines == ("agree",)
    assert found.benefit["leaves zapped by notifiers"] == (1, 0)
    assert found.benefit["sequence bumps"] == (1, 0)


def test_a_young_hook_that_answers_no_for_a_gmem_only_slot_is_promised() -> None:
    text = GMEM + "vcpu0:\n  read gfn=0\nkthread0:\n  test_young hva=A => 1 | 0\n"
    found = verdict(text)
    assert found.lines == ("agree",)
    assert found.expectation == []


def test_a_young_hook_that_answers_no_for_an_ordinary_slot_is_not() -> None:
    text = ORDINARY + "vcpu0:\n  read gfn=0\nkthread0:\n  test_young hva=A\n"
    assert verdict(text, "mutants/never_young").lines == ("patched-only young-lost",)


def test_without_the_promise_a_young_hook_of_a_gmem_only_slot_is_compared() -> None:
    text = GMEM + "vcpu0:\n  read gfn=0\nkthread0:\n  test_young hva=A\n"
    found = verdict(text, "mutants/seed_inverted")
    assert found.verdict is Verdict.AGREE  # this mistake looks at gmem-only slots
    assert verdict(text, "mutants/never_young").lines == ("patched-only young-lost",)


def test_a_difference_without_a_broken_rule_is_a_divergence_named_by_its_kind() -> None:
    text = ORDINARY + "vmm0:\n  set_region slot=1 gpa=1p size=1p hva=A\n"
    found = verdict(text, "mutants/overlap_is_einval")
    assert found.verdict is Verdict.DIVERGE
    assert found.fingerprint == fingerprint("equivalence", "patched-only", "result of set_region")


DRIFT = (
    GMEM
    + """vmm0:
  mprotect hva=A len=1p prot=READ
vcpu0:
  write gfn=0 value=5
vmm1:
  user_read hva=A
schedule:
  vmm0[0] at kvm_handle_hva_range.mmu_lock#1 -> vmm1
"""
)


def test_a_difference_that_the_reference_gives_under_another_schedule_is_no_finding() -> None:
    found = verdict(DRIFT)
    assert found.lines == ("agree",)
    assert [p.label for p in found.drift] == ["kvm_handle_hva_range.mmu_lock"]
    assert found.stale == []
    assert found.reference.results["vmm1", 0] != found.patched.results["vmm1", 0]
    assert "another schedule" in found.evidence


def test_a_difference_that_the_search_cannot_settle_is_inconclusive() -> None:
    found = verdict(DRIFT, runs_max=0)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.lines == ("inconclusive",)


def test_a_rule_that_the_search_cannot_settle_is_unsettled_and_not_the_patchs() -> None:
    path = Path(__file__).parents[2] / "corpora" / "findings" / "gpc_gmem_slot__v72.prog"
    text = path.read_text(encoding="utf-8")
    assert verdict(text).lines == ("patched-only stale-gpc",)
    assert verdict(text, runs_max=2).lines == ("unsettled stale-gpc",)


def test_exchanging_the_sides_exchanges_the_blame() -> None:
    text = ORDINARY + "vcpu0:\n  write gfn=0 value=2\nvmm0:\n  munmap hva=A len=1p\n"
    ours = verdict(text, "mutants/no_flush").lines
    theirs = verdict(text, "stock", "mutants/no_flush").lines
    assert ours == ("patched-only stale-spte", "patched-only unflushed-range")
    assert theirs == ("reference-only stale-spte", "reference-only unflushed-range")


def test_a_bug_that_the_patch_did_not_bring_is_both_sides() -> None:
    text = ORDINARY + "vcpu0:\n  write gfn=0 value=2\nvmm0:\n  munmap hva=A len=1p\n"
    lines = verdict(text, "mutants/no_flush", "mutants/no_flush").lines
    assert lines == ("both stale-spte", "both unflushed-range")


def test_verdicts_are_ordered_and_the_worst_counts() -> None:
    assert (
        Verdict.INVALID
        < Verdict.INCONCLUSIVE
        < Verdict.AGREE
        < Verdict.DIVERGE
        < Verdict.DEADLOCK
        < Verdict.INVARIANT
    )
    text = ORDINARY + "vmm0:\n  set_region slot=0 size=0p\n"
    found = verdict(text, "mutants/arch_lock_kept")
    assert found.verdict is Verdict.INVARIANT  # it is stuck, and it broke a locking rule
    assert found.lines == ("patched-only deadlock", "patched-only lockdep")


def test_a_result_that_is_not_as_written_is_told_with_both_sides() -> None:
    found = verdict(GMEM + "vcpu0:\n  read gfn=0 => 3 | 4\n")
    assert found.expectation == ["vcpu0[0] read: expected 3 | 4, got 1 | 1"]
