"""What can be asked of a real kernel, and why the rest cannot."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fuzz.text import parse
from fuzz.vocabulary import OPS
from tools.lab import express
from tools.lab.case import STATS

EXECUTOR = Path(express.__file__).parent / "executor"
HEAD = "gmemdiff 1\nprofile: v7.2 x86-tdp\n"


def why(ops: str, actor: str = "vmm0") -> tuple[str, ...]:
    return express.reasons(parse(f"{HEAD}{actor}:\n  {ops}\n"))


def test_every_op_is_either_executed_or_has_a_reason() -> None:
    unknown = set(OPS) - express.EXECUTED - set(express.WHY_NOT)
    assert unknown == set()
    assert express.EXECUTED & set(express.WHY_NOT) == set()


def test_the_executor_does_the_ops_that_are_said_to_be_executed_with_their_arguments() -> None:
    table = (EXECUTOR / "ops.c").read_text(encoding="utf-8")
    found = {name: int(count) for name, count in re.findall(r"\bOP\((\w+), (\d)\)", table)}
    lab_only = {"grab", "damage"}
    assert set(found) - lab_only == express.EXECUTED
    assert {name: len(OPS[name].args) for name in express.EXECUTED} == {
        name: count for name, count in found.items() if name not in lab_only
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PRIVATE_SLOT", express.PRIVATE_SLOT),
        ("PRIVATE_GPA", express.PRIVATE_GPA),
        ("PRIVATE_HVA", express.PRIVATE_HVA),
        ("OPS_MAX", express.OPS_MAX),
        ("VCPUS_MAX", express.VCPUS_MAX),
    ],
)
def test_both_sides_know_the_same_limits(name: str, value: int) -> None:
    header = (EXECUTOR / "lab.h").read_text(encoding="utf-8")
    (text,) = re.findall(rf"#define {name} (\w+)", header)
    assert int(text.removesuffix("UL"), 0) == value


def test_the_executor_tells_statistics_in_the_order_of_the_case() -> None:
    text = (EXECUTOR / "stats.c").read_text(encoding="utf-8")
    assert tuple(re.findall(r'\[STAT_\w+\] = "(\w+)"', text)) == STATS


def test_an_ordinary_program_is_expressible() -> None:
    assert why("munmap hva=A len=4p") == ()
    assert why("read gfn=3", "vcpu0") == ()


def test_what_is_not_expressible_is_told_with_its_first_op_and_once() -> None:
    (told,) = express.reasons(
        parse(f"{HEAD}vmm0:\n  fail_next what=folio\n  fail_next what=file\n")
    )
    assert told.startswith("vmm0[0] fail_next: ")


@pytest.mark.parametrize(
    "op",
    [
        "munmap hva=0x0 len=0x40000000",
        "madvise hva=A len=0x7fffffffffffffff advice=DONTNEED",
        "mprotect hva=0x7ffffffff000 len=1p prot=0",
        "mremap hva=A len=1p new_len=1p to=0x600000000000",
        "user_write hva=0x400000 value=1",
        "set_region slot=0 size=1024p hva=0x600000000000",
        "set_region slot=32700 size=1p hva=A",
        "set_region slot=0 gpa=0xd0000000 size=1p hva=A",
        "set_region slot=0 size=1p hva=A flags=0x100000001",
    ],
)
def test_what_would_hurt_the_executor_or_be_cut_is_refused(op: str) -> None:
    assert len(why(op)) == 1


@pytest.mark.parametrize(
    "op",
    [
        "munmap hva=A len=0xffffffffffff0000",  # an error before anything happens
        "mmap hva=A+1 len=1p share=private",
        "user_read hva=0x0",
        "set_region slot=0 size=0p",
        "set_region slot=0 size=16p flags=GUEST_MEMFD fd=gmem0",
    ],
)
def test_errors_that_hurt_nobody_stay(op: str) -> None:
    assert why(op) == ()


def test_kvm_writes_only_its_own_value_through_a_cache() -> None:
    text = (
        f"{HEAD}vcpu0:\n  gpc_activate gpc=0 gpa=0p\n  gpc_write gpc=0 value=5\n  gpc_read gpc=0\n"
    )
    program = parse(text)
    assert len(express.reasons(program)) == 2
    softened = express.with_kvms_values(program)
    assert express.reasons(softened) == ()
    assert [op.name for op in softened.actors[0].ops] == ["gpc_activate", "gpc_write", "gpc_write"]


def test_arm64_has_no_caches() -> None:
    program = parse(f"{HEAD}vcpu0:\n  gpc_refresh gpc=0\n")
    assert express.reasons(program) == ()
    (told,) = express.reasons(program, "arm64")
    assert told == "vcpu0[0] gpc_refresh: arm64 has no gfn_to_pfn caches"


def test_nested_guests_need_nested_paging() -> None:
    program = parse(f"{HEAD}vcpu0:\n  read gfn=0 l2=1\n")
    assert express.reasons(program) == ()
    assert express.reasons(program, "direct") == ()
    assert "nested paging" in express.reasons(program, "shadow")[0]
    assert "nested" in express.reasons(program, "arm64")[0]


def test_arm64_has_no_system_management_mode() -> None:
    program = parse(f"{HEAD}vcpu0:\n  read gfn=0 smm=1\n")
    assert express.reasons(program) == ()
    assert "management" in express.reasons(program, "arm64")[0]


def test_a_program_with_a_schedule_is_a_case_for_each_order() -> None:
    text = f"""{HEAD}setup:
  create_gmem fd=gmem0 size=4p
  set_region slot=0 size=4p flags=GUEST_MEMFD fd=gmem0
vcpu0:
  read gfn=0
vmm0:
  set_region slot=0 size=0p
schedule:
  vcpu0[0] at kvm_tdp_mmu_page_fault.mmu_lock#1 -> vmm0
"""
    cases = express.serial_cases("x", parse(text))
    assert [case.name for case in cases] == ["x order 1", "x order 2"]
    assert len({case.order for case in cases}) == 2
    assert express.threads_case("x", parse(text), 9).repeat == 9
