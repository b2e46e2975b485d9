"""Two runs next to each other, and the canonical trace of one."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.execution import End
from fuzz.overlay import load_model
from fuzz.search import execute
from fuzz.text import parse
from fuzz.timeline import PATCHED, REFERENCE, SAME, Taken, align, timeline, trace_text, watch
from fuzz.vocabulary import Program
from tests.strategies import decoded_programs
from tests.unit import samples

STOCK, SEED = load_model("stock"), load_model("seed")


def taken(*labels: str) -> list[Taken]:
    """Steps of one actor at these labels."""
    return [Taken(n, "vmm0", 0, label, (), 0, 0, 0, "") for n, label in enumerate(labels, 1)]


def marks(ours: list[Taken], theirs: list[Taken]) -> str:
    """The marks of the aligned rows, one letter each."""
    letters = {SAME: "=", REFERENCE: "-", PATCHED: "+"}
    return "".join(letters[row.mark] for row in align(ours, theirs))


def test_common_steps_stand_next_to_each_other() -> None:
    assert marks(taken(*"abc"), taken(*"abc")) == "==="
    assert marks(taken(*"abxc"), taken(*"abc")) == "==-="
    assert marks(taken(*"abc"), taken(*"axbc")) == "=+=="
    assert marks(taken(*"abc"), taken(*"adc")) == "=-+="
    assert marks([], taken("a")) == "+"


@given(st.text("abc", max_size=12), st.text("abc", max_size=12))
def test_no_step_is_lost_or_moved(ours: str, theirs: str) -> None:
    rows = align(taken(*ours), taken(*theirs))
    assert "".join(row.reference.label for row in rows if row.reference) == ours
    assert "".join(row.patched.label for row in rows if row.patched) == theirs


def test_long_runs_are_not_aligned_for_minutes() -> None:
    ours, theirs = taken("a", *"xy" * 3000), taken("a", *"yx" * 3000, "z")
    assert len(align(ours, theirs)) == 1 + 6000 + 6001


def test_the_first_difference_of_the_patch_is_where_it_skips_the_slot() -> None:
    lines = timeline(parse(samples.STALE), STOCK, SEED)
    assert lines.first_difference is not None
    row = lines.rows[lines.first_difference]
    assert (row.mark, row.step.label) == (REFERENCE, "kvm_handle_hva_range.mmu_lock")
    assert any("mmu_lock=vmm0" in lock for lock in row.step.locks)
    assert lines.first_state is not None
    assert all(not row.state_differs for row in lines.rows[: lines.first_state])
    last = lines.patched.steps[-1]
    assert last.broken == ("stale-spte at gmem-only prefetched leaf",)
    assert last.result == "0"


def test_a_model_agrees_with_itself_step_by_step() -> None:
    lines = timeline(parse(samples.STALE), STOCK, STOCK)
    assert (lines.first_difference, lines.first_state) == (None, None)


def test_the_json_form_holds_every_row() -> None:
    lines = timeline(parse(samples.STALE), STOCK, SEED)
    data = json.loads(json.dumps(lines.to_json()))
    assert len(data["rows"]) == len(lines.rows)
    assert data["first_difference"] == lines.first_difference


def test_watching_changes_nothing() -> None:
    program = parse(samples.STALE)
    side, run = watch(program, SEED)
    plain = execute(SEED, program)
    assert (run.steps, run.results, run.end) == (plain.steps, plain.results, End.FINISHED)
    assert len(side.steps) == plain.steps


@settings(max_examples=25, deadline=None)
@given(decoded_programs())
def test_the_trace_is_the_same_each_time(program: Program) -> None:
    first = trace_text(program, SEED)
    assert first == trace_text(program, SEED)
    assert first.startswith("gmemdiff-trace 1\n")
