"""The C that is exported does on real kernels, stock and patched, what it says it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ports import needs_compiler
from tools.cases import Models
from tools.lab.confirm import Wish, confirm
from tools.lab.confirmation import CONFIRMED, NOT_RUN, Confirmation
from tools.lab.export.bundle import reproducer_of
from tools.lab.export.subject import Subject, load_subject

FINDINGS = Path(__file__).parents[2] / "corpora" / "findings"


def subject_of(name: str) -> Subject:
    """A corpus program as a finding."""
    subject = load_subject(str(FINDINGS / f"{name}.prog"), Models())
    assert subject is not None
    return subject


def asked(subject: Subject, attempts: int) -> Confirmation:
    """What real kernels say; skips, with the reason, where there is none to ask."""
    needs_compiler()
    told: list[str] = []
    (answer,) = confirm([subject], Wish(attempts=attempts), told.append)
    missing = [verdict.text for verdict in answer.verdicts if verdict.verdict == NOT_RUN]
    if missing and not answer.runs:
        pytest.skip(missing[0])
    return answer


@pytest.mark.slow
@pytest.mark.parametrize("name", ["prefetch_direct__stale_leaf", "prefetch_shadow__stale_leaf"])
def test_real_kernels_print_what_the_bundle_says_they_do(name: str) -> None:
    subject = subject_of(name)
    plan = reproducer_of(subject).plan
    answer = asked(subject, attempts=2)
    assert [verdict.verdict for verdict in answer.verdicts] == [CONFIRMED]
    for run, side in zip(answer.runs, (0, 1), strict=True):
        assert run.trace[0] == run.trace[1] > 0
        assert run.hits == (2 if side else 0)
        told = [line for line in run.output if line.startswith(("ok", "not ok"))]
        wanted = [f"{'not ok' if check.fails[side] else 'ok'} {number} {check.holds}"
                  for number, check in enumerate(plan.checks, start=1)]  # fmt: skip
        assert [line.split(" # ")[0] for line in told] == wanted


@pytest.mark.slow
def test_a_bug_of_both_sides_is_confirmed_on_both() -> None:
    answer = asked(subject_of("prefetch_direct__pfn_changes"), attempts=1)
    assert [run.hits for run in answer.runs] == [1, 1]
    assert [verdict.verdict for verdict in answer.verdicts] == [CONFIRMED]
