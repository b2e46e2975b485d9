"""What people get to see; one whole report is pinned in tests/golden."""

from __future__ import annotations

import os
from pathlib import Path

from fuzz.finding import Finding
from fuzz.judge import judge
from fuzz.overlay import load_model
from fuzz.report import agreement, benefit_text, compact, op_lines, place, report
from fuzz.text import parse
from tests.unit import samples

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "report-stale-spte.txt"
MODELS = load_model("stock"), load_model("seed")


def test_the_report_of_a_stale_leaf_is_this_text() -> None:
    """Set UPDATE_GOLDEN=1 to write the file anew; then read the difference."""
    text = report(Finding.of(judge(parse(samples.STALE), *MODELS), *MODELS), "a/program.prog")
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_no_line_of_a_report_is_wider_than_100_columns() -> None:
    finding = Finding.of(judge(parse(samples.STALE), *MODELS), *MODELS)
    assert max(len(line) for line in report(finding, "a.prog").splitlines()) <= 100
    assert "\n" not in compact(finding, "a.prog")


def test_agreement_is_one_line_with_the_benefit() -> None:
    quiet = samples.STALE.replace("user_write hva=A+1p value=7", "user_write hva=A value=7")
    program = parse(quiet.replace("x86-direct", "x86-tdp"))
    line = agreement("a.prog", judge(program, *MODELS))
    assert line.startswith("a.prog: agree; benefit: leaves zapped by notifiers 1 -> 0, ")
    assert benefit_text({}) == ""


def test_a_difference_is_told_with_both_values(tmp_path: Path) -> None:
    models = MODELS[0], load_model(samples.write(tmp_path, "w.py", samples.WRONG_STAT))
    text = report(Finding.of(judge(parse(samples.CHILD_EXIT), *models), *models), "a b.prog")
    assert text.startswith("DIVERGE patched-only equivalence   finding ")
    assert "differs:   vmm0[0] child_exit: reference EINVAL, patched 7\n" in text
    assert "replay:    gmemdiff run 'a b.prog'\n" in text


def test_places_spell_the_op_out() -> None:
    program = parse(samples.STALE)
    where = place("step 37, vmm0[1] at tlb_finish_mmu.free", program)
    assert where == "step 37, vmm0[1] munmap hva=A len=8p, at tlb_finish_mmu.free"
    assert place("at the end", program) == "at the end"
    assert op_lines(program)["vcpu0", 0] == "read gfn=0"
