"""What goes to the executor and what comes back."""

from __future__ import annotations

import json

from fuzz.text import parse
from fuzz.vocabulary import Op
from tools.lab import express, wire
from tools.lab.case import LAB, MARKER, Case, Observation

TEXT = """gmemdiff 1
profile: v7.2 x86-tdp
geometry: vcpus=2 frames=64
setup:
  create_gmem fd=gmem0 size=4p
vmm0:
  set_region slot=0 size=4p hva=A
vcpu1:
  read gfn=3
"""


def case(*probes: Op) -> Case:
    program = parse(TEXT)
    (made,) = express.serial_cases("some name", program)
    return Case(made.name, program, made.order, probes=probes)


def test_a_case_is_words_in_the_order_of_the_turns() -> None:
    assert wire.encode([case()], deadline_ms=70).decode().splitlines() == [
        "case 0 serial 1 default 2 70 1 some name",
        "op setup 0 create_gmem 0 16384 3",
        "op vmm0 0 set_region 0 0 16384 1073741824 0 -1 0 0",
        "op vcpu1 0 read 3 0 0",
        "end",
    ]


def test_probes_stand_behind_the_program_as_the_labs_own() -> None:
    lines = wire.encode([case(Op("grab", (64,)), Op("damage"))]).decode().splitlines()
    assert lines[-3:] == ["op lab 0 grab 64", "op lab 1 damage", "end"]
    seen = wire.observations(case(Op("grab", (64,))), [None, None, None, [64, 1, 2, 3, 4, 5]])
    assert [(o.actor, o.index, o.result) for o in seen] == [(LAB, 0, "64")]


def test_results_have_the_models_own_words() -> None:
    ops = [[0, 1, 2, 3, 4, None], [-17, 1, 2, 3, 4, 5], ["MMIO", 1, 2, 3, 4, 5]]
    first, second, third = wire.observations(case(), ops)
    assert first == Observation(
        "setup", 0, "0",
        {"pages_4k": 1, "pf_fixed": 2, "tlb_flush": 3, "remote_tlb_flush": 4},
    )  # fmt: skip
    assert (second.result, third.result) == ("EEXIST", "MMIO")


def test_values_of_64_bits_come_through() -> None:
    (seen,) = wire.observations(case(), [[(1 << 64) - 1, 0, 0, 0, 0, 0]])
    assert seen.result == str((1 << 64) - 1)


def test_ops_that_were_not_reached_have_no_observation() -> None:
    assert len(wire.observations(case(), [[0, 0, 0, 0, 0, 0], None, None])) == 1


def test_only_comment_lines_with_json_are_messages() -> None:
    assert wire.message('# {"end": 3}') == {"end": 3}
    assert wire.message("ok 1 some name") is None
    assert wire.message("# {cut") is None
    assert wire.message(f"# {json.dumps([1])}") is None


def test_the_marker_is_the_same_on_both_sides() -> None:
    header = (express.__file__.removesuffix("express.py")) + "executor/lab.h"
    with open(header, encoding="utf-8") as file:
        assert f"#define MARKER {MARKER:#x}UL" in file.read()
