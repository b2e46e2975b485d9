"""Lockstep can fail: a port with a planted mistake is told, with the step and both states."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.overlay import load_model
from fuzz.port.lockstep import Drift, lockstep
from fuzz.text import load, parse
from tests.ports import built, edited, needs_compiler
from tools import cli, exits
from tools.commands import lockstep as command

CORPORA = Path(__file__).parents[2] / "corpora"
INVALIDATION = "findings/prefetch_direct__stale_leaf.prog"
COUNT = """	spin_lock(&kvm->mn_invalidate_lock, "kvm_mmu_notifier_invalidate_range_start.count");
	kvm->mn_active_invalidate_count++;
	spin_unlock(&kvm->mn_invalidate_lock);
"""
GPC = """
	gfn_to_pfn_cache_invalidate_start(kvm, start, end);
	watch_gpc_side_done(kvm, start, end);
"""


def drift_of(program: str, old: str, new: str) -> Drift:
    """What lockstep says of a stock port whose kvm_main.c has a mistake."""
    port = built(edited("kvm_main.c", old, new))
    drift = lockstep(load(str(CORPORA / program)), load_model("stock"), port)
    assert drift is not None
    return drift


def test_a_changed_label_is_told_where_it_is_come_to() -> None:
    label = '"kvm_vm_ioctl_set_memory_region.slots_lock"'
    drift = drift_of(INVALIDATION, label, label.replace("slots_lock", "lock_of_slots"))
    assert drift.step > 0
    assert "set_memory_region.slots_lock" in drift.python.splitlines()[0]
    assert "set_memory_region.lock_of_slots" in drift.c.splitlines()[0]


def test_a_dropped_sequence_bump_is_told_with_both_states() -> None:
    bump = "	kvm->mmu_invalidate_seq++;\n	watch_invalidation_ended"
    drift = drift_of(INVALIDATION, bump, "	watch_invalidation_ended")
    assert drift.step > 0
    ours, theirs = drift.python.splitlines(), drift.c.splitlines()
    assert ours[0] == theirs[0]
    assert [a for a, b in zip(ours, theirs, strict=True) if a != b] != []
    assert "--- Python" in str(drift)
    assert "+++ C" in str(drift)
    assert f"stock: Python and C differ at step {drift.step}" in str(drift)


def test_two_locks_taken_in_the_other_order_are_told() -> None:
    drift = drift_of("windows/gpc_user_blocks_invalidation.prog", COUNT + GPC, GPC + COUNT)
    assert drift.step > 0
    assert drift.python.splitlines()[0] != drift.c.splitlines()[0]


def test_a_result_that_is_off_by_one_is_told_though_every_step_is_the_same() -> None:
    program = "errno/region_gfn_overlap_eexist.prog"
    drift = drift_of(program, "return -EEXIST;", "return -EEXIST - 1;")
    assert drift.step == 0
    assert "differ at the outcome" in str(drift)
    assert "EEXIST" in drift.python
    assert "EEXIST" not in drift.c


def test_a_step_that_one_side_alone_takes_is_told() -> None:
    end = "	kvm->mmu_invalidate_seq++;\n	watch_invalidation_ended"
    drift = drift_of(INVALIDATION, end, '	STEP("kvm_mmu_invalidate_end.more");\n' + end)
    # The step before it ends earlier than in Python, in a state that Python does not stop in.
    assert drift.python.splitlines()[0] == drift.c.splitlines()[0]
    assert "inv 0 seq 1" in drift.python
    assert "inv 1 seq 0" in drift.c


def test_the_command_prints_a_difference_with_its_program_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_compiler()
    monkeypatch.setattr(
        command, "compare", lambda program, model, port: Drift(model.name, 7, "ours", "theirs")
    )
    batch = command.Batch(("stock",), (), (str(CORPORA / INVALIDATION),))
    tally = command.run_batch(batch)
    (text,) = tally.drifts
    assert f"{INVALIDATION}: stock: Python and C differ at step 7" in text
    assert parse(text[text.index("gmemdiff 1") :]) is not None
    monkeypatch.setattr(command, "run_batch", lambda batch: tally)
    assert command._run([], 1) == exits.NOTHING
    assert cli.main(["lockstep"]) == exits.NOTHING
    capsys.readouterr()
