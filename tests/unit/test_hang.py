"""A hang becomes a finding that names the function that does not come back, and on which side."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.finding import kind_of
from fuzz.folder import load, save
from fuzz.hang import UNKNOWN, hang_finding, hung_at, hung_side
from fuzz.judge import BOTH, PATCHED_ONLY, REFERENCE_ONLY, UNSETTLED
from fuzz.overlay import load_model
from fuzz.report import report
from fuzz.text import parse
from tests.unit import samples

DUMP = """\
Current thread 0x00007f01 (most recent call first):
  File "/x/reference/{inner}.py", line 9 in {inner}
  File "/x/reference/mmu.py", line 40 in kvm_tdp_mmu_map
  File "/x/fuzz/execution.py", line 222 in _turn
  File "/x/reference/../fuzz/execution.py", line 1 in run
"""


@pytest.mark.parametrize(
    ("reference", "patched", "side"),
    [
        (True, True, BOTH),
        (False, True, PATCHED_ONLY),
        (True, False, REFERENCE_ONLY),
        (None, True, UNSETTLED),
    ],
)
def test_the_side_is_who_did_not_come_back(
    reference: bool | None, patched: bool | None, side: str
) -> None:
    assert hung_side(reference, patched) == side


def test_the_site_is_the_innermost_model_function() -> None:
    assert hung_at(DUMP.format(inner="tdp_iter_next")) == "tdp_iter_next"


def test_of_several_dumps_the_site_is_what_stands_in_all() -> None:
    dumps = DUMP.format(inner="tdp_iter_next") + DUMP.format(inner="tdp_mmu_set_spte")
    assert hung_at(dumps) == "kvm_tdp_mmu_map"


def test_a_function_of_an_overlay_is_a_model_function_too() -> None:
    text = '(most recent call first):\n  File "/there/p.py", line 3 in do_fork\n'
    assert hung_at(text) == UNKNOWN
    assert hung_at(text, ["/there/p.py"]) == "do_fork"


@pytest.mark.parametrize("text", ["", "no stack here", 'File "x'])
def test_without_a_stack_the_site_is_unknown(text: str) -> None:
    assert hung_at(text) == UNKNOWN


def test_a_hang_is_kept_and_reported_like_any_finding(tmp_path: Path) -> None:
    models = load_model("stock"), load_model("seed")
    ends = ("finished after 7 steps", "did not end within 3 s")
    finding = hang_finding(parse(samples.AGREE), PATCHED_ONLY, "do_fork", ends, models, 3)
    path = save(finding, tmp_path)
    assert load(path.parent) == finding
    assert kind_of(finding.broken[0]) == finding.kind
    text = report(finding, str(path))
    assert text.startswith("HANG patched-only hang ")
    assert "one step does not end; given up after 3 s (site: do_fork)" in text
    assert "replay:    timeout 60 gmemdiff run" in text
    assert "needed" not in text
