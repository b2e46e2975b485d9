"""gmemdiff explore and SPIN, an independent model checker, reach the same outcomes of one race."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from fuzz.execution import End
from fuzz.outcome import final_state
from fuzz.overlay import load_model
from fuzz.port.exhaustive import PREEMPTIONS_MAX
from fuzz.search import execute
from fuzz.text import parse
from tests.ports import explorer_of

MODEL: Final = Path(__file__).parents[1] / "spin" / "gpc_refresh.pml"
SECONDS_MAX: Final = 120
RULES: Final = (
    ("stale-gpc", "hva_to_pfn_retry"), ("stale-gpc", "user PTE change"),
    ("use-after-free", "gpc"), ("gpc-after-mmu", "kvm_mmu_notifier_invalidate_range_start"),
)  # fmt: skip
PROGRAM: Final = parse(
    """gmemdiff 1
profile: v7.2 x86-tdp
setup:
  create_gmem fd=gmem0 size=1p
  mmap hva=A len=1p share=private
  set_region slot=0 size=1p hva=A flags=GUEST_MEMFD fd=gmem0
  user_write hva=A value=1
vcpu0:
  gpc_activate gpc=0 gpa=0p
  gpc_read gpc=0
vmm0:
  madvise hva=A len=1p advice=DONTNEED
  user_write hva=A value=2
"""
)
# What gpc_read gives, what the cache and the user address show at the end, each rule broken or not.
Outcome = tuple[int, ...]


def explored(model: str, preemptions: int) -> set[Outcome]:
    """All outcomes within the bound."""
    survey = explorer_of(model).explore(PROGRAM, preemptions)
    assert survey.complete
    found = set()
    for outcome in survey.outcomes.values():
        run = execute(load_model(model), replace(PROGRAM, schedule=outcome.schedule))
        assert run.end is End.FINISHED
        broken = set(run.kvm.violations)
        assert broken <= set(RULES)
        results = {where: result for where, result in run.results.items() if where[0] != "setup"}
        loaded = int(results.pop(("vcpu0", 1)))
        assert set(results.values()) == {"0"}
        final = final_state(run.kvm)
        (in_memory,) = final["user memory"].values()
        rules = (int(rule in broken) for rule in RULES)
        found.add((loaded, final["gpc0"][2], in_memory, *rules))
    assert len(found) == len(survey.outcomes)
    return found


def checked(model: str, folder: Path) -> set[Outcome]:
    """All outcomes that SPIN reaches, over all interleavings."""

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS_MAX
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    shutil.copy(MODEL, folder)
    run("spin", "-a", *(["-DSEED"] if model == "seed" else []), MODEL.name)
    # Partial order reduction does not know that the printing looks at all variables.
    run("gcc", "-O1", "-w", "-DSAFETY", "-DNOREDUCE", "-o", "pan", "pan.c")
    lines = run("./pan", "-m100000").splitlines()
    assert any(line.endswith("errors: 0") for line in lines), lines
    assert not any("search not completed" in line or "max search depth" in line for line in lines)
    return {tuple(map(int, line.split()[1:])) for line in lines if line.startswith("outcome ")}


@pytest.mark.slow
@pytest.mark.parametrize(("model", "count"), [("stock", 3), ("seed", 8)])
def test_spin_reaches_the_outcomes_that_exploring_reaches(
    model: str, count: int, tmp_path: Path
) -> None:
    for program in ("spin", "gcc"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} on PATH (Debian: apt install {program})")
    found = explored(model, PREEMPTIONS_MAX)
    assert found == explored(model, PREEMPTIONS_MAX // 2)  # the bound cuts nothing off any more
    assert checked(model, tmp_path) == found
    assert len(found) == count
