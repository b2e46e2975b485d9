"""What closes the seed patch's findings closes them: with both repairs, no program of the corpora
speaks against the patch, and without either of them some do."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import pytest

from fuzz.finding import kinds_of
from fuzz.judge import PATCHED_ONLY, judge
from fuzz.overlay import load_model
from fuzz.text import load

FINDINGS: Final = Path(__file__).parents[2] / "corpora" / "findings"
AGAINST_THE_PATCH: Final = tuple(
    path.name
    for path in sorted(FINDINGS.glob("*.prog"))
    if any(line.startswith(PATCHED_ONLY) for line in load(path).expect)
)


@cache
def sides(name: str, reference: str, patched: str) -> frozenset[str]:
    """The sides that a program has something against when it runs on two models."""
    judgement = judge(load(FINDINGS / name), load_model(reference), load_model(patched))
    return frozenset(kind.side for kind in kinds_of(judgement))


def test_there_are_findings_of_both_defects_to_close() -> None:
    assert len([name for name in AGAINST_THE_PATCH if name.startswith("prefetch")]) >= 10
    assert len([name for name in AGAINST_THE_PATCH if name.startswith("gpc")]) >= 4


@pytest.mark.parametrize("name", AGAINST_THE_PATCH)
def test_with_both_repairs_nothing_speaks_against_the_patch(name: str) -> None:
    assert PATCHED_ONLY not in sides(name, "repaired", "seed_closed")


@pytest.mark.parametrize("name", AGAINST_THE_PATCH)
def test_the_repairs_alone_break_nothing_that_the_kernel_keeps(name: str) -> None:
    assert PATCHED_ONLY not in sides(name, "stock", "repaired")


@pytest.mark.parametrize("name", AGAINST_THE_PATCH)
def test_without_the_repairs_the_patch_is_to_blame(name: str) -> None:
    assert PATCHED_ONLY in sides(name, "stock", "seed")
