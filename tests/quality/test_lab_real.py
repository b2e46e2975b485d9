"""Programs on real kernels; skipped, with the reason, where kernels or QEMU are missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fuzz.port.compiler import NoCompilerError
from fuzz.text import load, parse
from fuzz.vocabulary import Op
from tools.lab import express
from tools.lab.build import build_modules
from tools.lab.case import DONE, LAB, MARKER, OOPS, Case, CaseResult
from tools.lab.errors import LabError, MissingError
from tools.lab.kernel_patch import find_patch
from tools.lab.kernels import Kernel, find_kernel
from tools.lab.lab import Lab, results_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
STALE_LEAF = ROOT / "corpora/findings/prefetch_direct__stale_leaf.prog"


def stock() -> Kernel:
    try:
        return find_kernel("7.2")
    except (MissingError, LabError) as error:
        pytest.skip(str(error))


def patched() -> Kernel:
    try:
        return build_modules(stock(), find_patch("seed"))
    except (MissingError, LabError) as error:
        pytest.skip(str(error))


def run(kernel: Kernel, mmu: str, cases: list[Case]) -> list[CaseResult]:
    try:
        return list(results_of(Lab(kernel, mmu).run(cases)))
    except (MissingError, NoCompilerError) as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("side", [0, 1])
def test_the_measured_table_comes_out_again_on_stock_and_patched(side: int) -> None:
    program = load(ROOT / "corpora/lab/lab_notes_table.prog")
    (case,) = express.serial_cases("table", program)
    (result,) = run((stock, patched)[side](), "tdp", [case])
    assert result.status == DONE, result.log
    seen = {(o.actor, o.index): o.result for o in result.attempts[0]}
    wrong = []
    for turn in case.order:
        sides = turn.op.expect.split("|") if turn.op.expect else []
        if sides and seen[turn.actor, turn.index] != sides[min(side, len(sides) - 1)].strip():
            wrong.append((turn, seen[turn.actor, turn.index]))
    assert wrong == []


def test_a_stranger_is_read_and_damaged_through_a_stale_leaf_on_the_patched_kernel_only() -> None:
    (case,) = express.serial_cases("stale", load(STALE_LEAF))
    probes = (
        Op("grab", (2048,)), Op("read", (1, 0, 0)), Op("write", (1, 5, 0, 0)), Op("damage"),
    )  # fmt: skip
    case = replace(case, probes=probes)
    found = []
    for kernel in (stock(), patched()):
        (result,) = run(kernel, "direct", [case])
        assert result.status == DONE, result.log
        found.append([o.result for o in result.attempts[0] if o.actor == LAB])
    assert found[0] == ["2048", "0", "0", "0"]
    assert found[1] == ["2048", str(MARKER), "0", "1"]


def test_the_same_through_a_nested_guest_with_the_tdp_mmu() -> None:
    program = load(ROOT / "corpora/findings/prefetch_nested__stale_leaf.prog")
    (case,) = express.serial_cases("stale", program)
    probes = (
        Op("grab", (2048,)), Op("read", (1, 1, 0)), Op("write", (1, 5, 1, 0)), Op("damage"),
    )  # fmt: skip
    case = replace(case, probes=probes)
    found = []
    for kernel in (stock(), patched()):
        (result,) = run(kernel, "tdp", [case])
        assert result.status == DONE, result.log
        found.append([o.result for o in result.attempts[0] if o.actor == LAB])
    assert found[0] == ["2048", "0", "0", "0"]
    assert found[1] == ["2048", str(MARKER), "0", "1"]


def test_each_address_space_has_its_own_slots() -> None:
    text = """gmemdiff 1
profile: v7.2 x86-tdp
setup:
  mmap hva=A len=4p share=private
  mmap hva=B len=4p share=private
  set_region slot=0 size=4p hva=A
  set_region slot=0 size=4p hva=B as=1
vcpu0:
  write gfn=0 value=7 => 0
  write gfn=0 value=0x100000008 smm=1 => 0
  read gfn=0 => 7
  read gfn=0 smm=1 => 4294967304
  read gfn=1 l2=1 => 0
  write gfn=1 value=0x200000009 l2=1 => 0
  read gfn=1 l2=1 => 8589934601
vmm0:
  nop
  nop
  user_read hva=A => 7
  user_read hva=B => 4294967304
"""
    (case,) = express.serial_cases("smm", parse(text))
    (result,) = run(stock(), "tdp", [case])
    assert result.status == DONE, result.log
    seen = {(o.actor, o.index): o.result for o in result.attempts[0]}
    wanted = {(t.actor, t.index): t.op.expect for t in case.order if t.op.expect}
    assert {key: seen[key] for key in wanted} == wanted


def test_a_warning_of_the_kernel_is_a_result_with_its_log() -> None:
    program = load(ROOT / "corpora/findings/prefetch_direct__pfn_changes.prog")
    first, second = run(stock(), "direct", [*express.serial_cases("warns", program)] * 2)
    for result in (first, second):  # a WARN_ONCE is made ready again after each case
        assert result.status == OOPS
        assert "mmu_set_spte" in result.log


@pytest.mark.parametrize("mmu", ["tdp", "direct", "shadow"])
def test_results_and_values_are_the_models_on_every_mmu(mmu: str) -> None:
    text = """gmemdiff 1
profile: v7.2 x86-tdp
setup:
  create_gmem fd=gmem0 size=4p
  mmap hva=A len=4p fd=gmem0 share=shared
  set_region slot=0 size=4p hva=A flags=GUEST_MEMFD fd=gmem0
  mmap hva=B len=4p share=private
  set_region slot=1 gpa=16p size=4p hva=B
vcpu0:
  write gfn=0 value=0xffffffffffffffff => 0
  read gfn=0x10 => 0
  write gfn=0x11 value=8 => 0
  read gfn=0x12 => 0
  read gfn=99 => MMIO
  write gfn=99 value=1 => MMIO
vmm0:
  user_read hva=A => 18446744073709551615
  user_write hva=B value=7 => 0
  user_read hva=B+1p => 8
  munmap hva=B+2p len=1p => 0
  user_read hva=B+2p => SIGSEGV
  close fd=gmem5 => EBADF
  set_region slot=0 size=8p hva=A => EINVAL
  set_region slot=2 gpa=3p size=4p hva=A => EEXIST
"""
    program = parse(text)
    (case,) = express.serial_cases("values", program)
    (result,) = run(stock(), mmu, [case])
    assert result.status == DONE, result.log
    seen = {(o.actor, o.index): o.result for o in result.attempts[0]}
    wanted = {(t.actor, t.index): t.op.expect for t in case.order if t.op.expect}
    assert {key: seen[key] for key in wanted} == wanted


def test_arm64_gives_the_models_results_and_values() -> None:
    text = """gmemdiff 1
profile: v7.2 arm64
setup:
  create_gmem fd=gmem0 size=4p
  mmap hva=A len=4p fd=gmem0 share=shared
  set_region slot=0 size=4p hva=A flags=GUEST_MEMFD fd=gmem0
vcpu0:
  write gfn=0 value=0xffffffffffffffff => 0
  read gfn=3 => 0
  read gfn=99 => MMIO
  write gfn=99 value=1 => MMIO
  nop
  read gfn=0 => 0
vmm0:
  user_read hva=A => 18446744073709551615
  user_write hva=A+1p value=9 => 0
  munmap hva=A+2p len=1p => 0
  user_read hva=A+2p => SIGSEGV
  fallocate fd=gmem0 mode=KEEP_SIZE|PUNCH_HOLE offset=0p len=1p => 0
"""
    (case,) = express.serial_cases("values", parse(text))
    try:
        kernel = find_kernel("7.2", "arm64")
    except MissingError as error:
        pytest.skip(str(error))
    (result,) = run(kernel, "arm64", [case])
    assert result.status == DONE, result.log
    seen = {(o.actor, o.index): o.result for o in result.attempts[0]}
    wanted = {(t.actor, t.index): t.op.expect for t in case.order if t.op.expect}
    assert {key: seen[key] for key in wanted} == wanted


def test_threads_give_one_observation_an_op_and_attempt() -> None:
    case = express.threads_case("threads", load(STALE_LEAF), 5)
    (result,) = run(stock(), "direct", [case])
    assert result.status == DONE, result.log
    assert [len(attempt) for attempt in result.attempts] == [len(case.order)] * 5
