"""Findings become C that compiles alone, or are refused with the reason."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from fuzz.finding import Kind
from fuzz.folder import save
from fuzz.overlay import load_model
from fuzz.port.compiler import find_compiler
from fuzz.text import parse
from fuzz.vocabulary import OPS, Program
from tests.ports import needs_compiler
from tools.cases import Models
from tools.cli import main
from tools.lab.export.bundle import Reproducer, files_of, reproducer_of
from tools.lab.export.checks import LOG, PROGRESS, RESULTS, Check, expectations
from tools.lab.export.emit import GUEST_OPS
from tools.lab.export.observe import observe
from tools.lab.export.order import in_order, merges, natural_order, phases, turns_of
from tools.lab.export.plan import Plan
from tools.lab.export.refused import REFUSED
from tools.lab.export.render import expected_output, source
from tools.lab.export.subject import load_subject

FINDINGS = Path(__file__).parents[2] / "corpora" / "findings"
STALE_LEAF = FINDINGS / "prefetch_direct__stale_leaf.prog"
DURING = FINDINGS / "prefetch_direct__during_invalidation.prog"
DEADLOCK = FINDINGS / "punch_versus_memory_failure__deadlock.prog"
EXPRESSIBLE = (
    "gpc_gmem_slot__kvm_writes_to_stranger",
    "gpc_gmem_slot__punched",
    "gpc_hva_no_slot__use_after_free",
    "prefetch_direct__child_of_fork",
    "prefetch_direct__during_invalidation",
    "prefetch_direct__guest_writes_to_stranger",
    "prefetch_direct__migrated",
    "prefetch_direct__pfn_changes",
    "prefetch_direct__poisoned",
    "prefetch_direct__poisoned_tlb",
    "prefetch_direct__shifted_view",
    "prefetch_direct__stale_tlb",
    "prefetch_direct__truncated_tlb",
    "prefetch_shadow__stale_leaf",
    "punch_versus_memory_failure__deadlock",
)

EVERY_OP = """gmemdiff 1
profile: v7.2 x86-tdp
geometry: vcpus=2 frames=128
setup:
  create_gmem fd=gmem0 size=16p
  create_gmem fd=gmem1 size=4p
  set_region slot=0 size=8p hva=A flags=GUEST_MEMFD fd=gmem0
  set_region1 slot=1 gpa=16p size=4p hva=B flags=LOG_DIRTY
  enable_manual_dirty_log initially_set=1
vmm0:
  mmap hva=A len=8p fd=gmem0 share=shared
  mmap hva=B len=8p share=private
  mmap hva=C len=2p fd=file share=shared
  mmap hva=C len=1p fd=foreign share=shared prot=0
  mmap hva=C len=1p fd=bad share=private
  set_region slot=2 gpa=40p size=1p hva=A flags=GUEST_MEMFD fd=foreign
  set_region slot=3 gpa=41p size=1p hva=A flags=GUEST_MEMFD|0x40 fd=none offset=1p+1
  fallocate fd=gmem0 mode=KEEP_SIZE|PUNCH_HOLE offset=1p len=1p
  fallocate fd=gmem1 mode=COLLAPSE_RANGE|0x100 offset=0p len=1p
  set_attributes gpa=0p size=1p attrs=PRIVATE flags=1
  user_write hva=B value=3000000000
  user_read hva=B
  get_dirty_log slot=1
  clear_dirty_log slot=1 first=0 num=4 bits=15
  mprotect hva=B len=1p prot=READ
  mprotect hva=B len=1p prot=READ|WRITE
  madvise hva=B+4p len=1p advice=DONTNEED
  madvise hva=B+4p len=1p advice=DONTNEED_LOCKED
  madvise hva=B+4p len=1p advice=FREE
  madvise hva=B+4p len=1p advice=REMOVE
  madvise hva=B+4p len=1p advice=PAGEOUT
  madvise hva=B+4p len=1p advice=COLD
  madvise hva=B+4p len=1p advice=GUARD_INSTALL
  madvise hva=B+4p len=1p advice=GUARD_REMOVE
  madvise hva=B+4p len=1p advice=POPULATE_WRITE
  madvise hva=B+4p len=1p advice=SOFT_OFFLINE
  madvise hva=B+4p len=1p advice=HWPOISON
  mbind hva=B len=1p policy=bind
  mbind hva=B len=1p policy=bind_balancing
  mbind hva=B len=1p policy=default
  uffd_wp hva=B len=1p async=1
  clear_refs
  pagemap_scan hva=B len=1p
  mlock hva=B len=1p
  msync hva=B len=1p
  fork
  child_exit
  move_pages hva=B
  mremap hva=B len=8p new_len=7p
  mremap hva=B len=1p new_len=1p to=D
  munmap hva=D len=1p
  close fd=gmem1
  close fd=bad
  set_region slot=0 size=0p as=1
  stat name=pages_4k
  stat name=pf_fixed
  stat name=tlb_flush
  stat name=remote_tlb_flush
vcpu0:
  read gfn=0
  write gfn=1 value=4000000000
  guest_flush
  pre_fault gpa=0p size=2p
  gpc_activate gpc=0 gpa=1p
  gpc_activate_hva gpc=2 hva=B
  gpc_refresh gpc=0
  gpc_read gpc=2
  gpc_write gpc=0 value=9
  gpc_deactivate gpc=0
vcpu1:
  read gfn=0x1000
  nop
kthread0:
  migrate hva=A
  ksm hva=B+2p with=B+1p
  memory_failure hva=B
  gmem_failure fd=gmem0 offset=0p
"""


def compiles(text: str, folder: Path) -> None:
    """Compile as a careful developer would."""
    needs_compiler()
    path = folder / "reproducer.c"
    path.write_text(text)
    command = [*find_compiler().command, "-O2", "-Wall", "-Wextra", "-Werror", "-pthread"]
    done = subprocess.run(
        [*command, "-o", str(folder / "reproducer"), str(path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def made(path: Path) -> Reproducer:
    """The reproducer of a corpus program."""
    subject = load_subject(str(path), Models())
    assert subject is not None
    return reproducer_of(subject)


def any_plan(program: Program, threads: bool) -> Plan:
    """A plan of a program that breaks nothing: with the checks that every reproducer has."""
    stock, seed = load_model("stock"), load_model("seed")
    order = turns_of(program)
    sides = observe(program, order, stock), observe(program, order, seed)
    kinds = (LOG, PROGRESS) if threads else (RESULTS, LOG, PROGRESS)
    checks = tuple(Check(kind, f"{kind} holds", "", (False, False)) for kind in kinds)
    kind = Kind("stale-spte", "leaf", "patched-only")
    expected = expectations(program, order, kind, sides, seed)
    groups = phases(program, seed) if threads else ()
    return Plan(program, kind, order, groups, sides, expected, checks, "for a test")


def test_the_first_finding_compiles_alone_and_without_a_warning(tmp_path: Path) -> None:
    compiles(made(STALE_LEAF).source, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPRESSIBLE)
def test_every_finding_that_a_kernel_can_be_asked_for_compiles(name: str, tmp_path: Path) -> None:
    compiles(made(FINDINGS / f"{name}.prog").source, tmp_path)


def test_the_program_with_every_op_has_every_op() -> None:
    program = parse(EVERY_OP, "every")
    used = {op.name for op in program.setup} | {turn.op.name for turn in turns_of(program)}
    assert used | {"nop"} == set(OPS) - set(REFUSED)
    assert used >= GUEST_OPS


@pytest.mark.slow
@pytest.mark.parametrize("threads", [False, True])
@pytest.mark.parametrize("mmu", ["x86-tdp", "x86-direct", "x86-shadow"])
def test_every_op_compiles_on_every_mmu(mmu: str, threads: bool, tmp_path: Path) -> None:
    program = parse(EVERY_OP.replace("x86-tdp", mmu).replace("0x1000", "0x300"), "every")
    compiles(source(any_plan(program, threads), "a test", (), "every"), tmp_path)


def test_each_op_compiles_without_what_the_others_need(tmp_path: Path) -> None:
    text = "gmemdiff 1\nprofile: v7.2 x86-tdp\nvcpu0:\n  read gfn=0\n"
    compiles(source(any_plan(parse(text, "small"), False), "a test", (), "small"), tmp_path)


def test_what_holds_on_the_reference_is_expected_to_fail_on_the_patched_kernel_only() -> None:
    plan = made(STALE_LEAF).plan
    assert [check.fails for check in plan.deciding] == [(False, True), (False, True)]
    stock, patched = (expected_output(plan, "finding", side) for side in (0, 1))
    assert "not ok" not in stock
    assert "vmm0 munmap hva=A len=8p => 0; leaves 0\n" in stock
    assert "vmm0 munmap hva=A len=8p => 0; leaves 2\n" in patched
    assert "not ok 3 the guest reads no page at gfn 0x1 that was freed" in patched


def test_a_preemption_that_a_serial_order_can_do_without_needs_no_threads() -> None:
    plan = made(DURING).plan
    assert not plan.threads
    assert [turn.actor for turn in plan.order] == ["vcpu0", "vmm0"]


def test_a_deadlock_needs_threads_whose_ops_meet_in_one_round() -> None:
    plan = made(DEADLOCK).plan
    assert plan.threads
    assert [[turn.actor for turn in group] for group in plan.groups] == [["vmm0", "kthread0"]]
    assert [check.fails for check in plan.deciding] == [(True, True)]


def test_a_serial_order_does_the_ops_in_that_order_and_nothing_else() -> None:
    program = replace(parse(STALE_LEAF.read_text(), "p"), schedule=())
    stock = load_model("stock")
    for order in merges(program):
        again = natural_order(in_order(program, order), stock, stock)
        assert again is not None
        assert [turn.op for turn in again] == [turn.op for turn in order]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("dirty_log_cap_races_commit__arm64", "arm64"),
        ("binding_not_stored__v72", "fail_next"),
        ("prefetch_nested__stale_leaf", "l2=1"),
    ],
)
def test_what_a_kernel_cannot_be_asked_for_is_refused_with_the_reason(
    name: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(FINDINGS / f"{name}.prog")]) == 4
    assert f"not expressible: {reason}" in capsys.readouterr().err


def test_a_program_that_breaks_nothing_is_no_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(FINDINGS / "prefetch_direct__right_view.prog")]) == 5
    assert "breaks nothing" in capsys.readouterr().err


def test_a_folder_without_a_finding_is_bad_input(tmp_path: Path) -> None:
    assert main(["export", str(tmp_path)]) == 2


def test_a_kept_finding_and_its_program_give_the_same_bundle(tmp_path: Path) -> None:
    subject = load_subject(str(STALE_LEAF), Models())
    assert subject is not None
    kept = save(subject.finding, tmp_path / "findings").parent
    for given, output in ((kept, "a"), (kept / "program.prog", "b"), (STALE_LEAF, "c")):
        assert main(["export", str(given), "-o", str(tmp_path / output)]) == 0
    bundles = [
        {path.name: path.read_text() for path in (tmp_path / name).iterdir()} for name in "abc"
    ]
    assert bundles[0] == bundles[1] == bundles[2]
    assert set(bundles[0]) >= {"run.sh", "timeline.txt", "report-draft.txt", "program.prog"}


def test_the_bundle_says_where_it_comes_from_and_under_which_licence() -> None:
    files = files_of(made(STALE_LEAF), None)
    text = files["stale_spte_gmem_only_prefetched_leaf.c"]
    assert text.startswith("/* SPDX-License-Identifier: GPL-2.0-only */\n")
    assert max(len(line.expandtabs(8)) for line in text.splitlines()) <= 100
    assert "stale-spte at gmem-only prefetched leaf" in files["report-draft.txt"]
    assert "Not run on a real kernel yet" in files["report-draft.txt"]
    assert "from here the states differ" in files["timeline.txt"]


def test_a_step_says_what_it_breaks_where_it_breaks_it() -> None:
    text = made(STALE_LEAF).source
    assert "With the patch: pfn0.0 is freed while gfn 0x1 of slot0 maps" in " ".join(
        text.replace("*", " ").split()
    )


def test_an_op_that_never_ends_is_told_as_such() -> None:
    program = parse(DEADLOCK.read_text(), "p")
    groups = phases(program, load_model("stock"))
    assert sum(len(group) for group in groups) == len(turns_of(program))


def test_a_stale_cache_is_shown_by_what_kvm_writes_through_it() -> None:
    plan = made(FINDINGS / "gpc_gmem_slot__punched.prog").plan
    assert plan.threads
    assert [(check.kind, check.fails) for check in plan.deciding] == [("cache", (False, True))]


def test_of_several_broken_rules_one_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(FINDINGS / "prefetch_direct__pfn_changes.prog")
    subject = load_subject(path, Models(), "warn")
    assert subject is not None
    assert [check.kind for check in reproducer_of(subject).plan.deciding] == [LOG]
    assert main(["export", path, "--rule", "deadlock"]) == 2
    assert "does not break deadlock; it breaks gmem-backing, warn" in capsys.readouterr().err


def test_ksm_keeps_the_page_at_the_higher_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(FINDINGS / "prefetch_direct__ksm.prog")]) == 4
    assert "higher address" in capsys.readouterr().err
    plan = made(FINDINGS / "prefetch_direct__ksm_above.prog").plan
    assert [(check.kind, check.holds) for check in plan.deciding] == [
        ("step", "vmm0 user_read hva=A gives 1")
    ]
