"""The table of preemption labels is what the models do."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.labels import STEP_LABELS
from fuzz.vocabulary import OPS
from tools.labels import collect, source

ROOT = Path(__file__).parents[2]


def test_every_op_of_the_language_has_its_row() -> None:
    assert set(STEP_LABELS) == set(OPS)


def test_every_label_stands_in_the_model() -> None:
    text = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "reference").glob("*.py"))
    for op, labels in STEP_LABELS.items():
        for label in labels:
            assert f'"{label}"' in text, f"{op}: no step of the model is called {label}"


def test_programs_pass_hardly_any_step_that_the_table_does_not_know() -> None:
    found = {(op, label) for op, labels in collect(40).items() for label in labels}
    known = {(op, label) for op, labels in STEP_LABELS.items() for label in labels}
    assert len(found - known) <= len(found) // 50, sorted(found - known)


@pytest.mark.slow
def test_the_table_is_what_the_generator_writes_now() -> None:
    assert (ROOT / "fuzz" / "labels.py").read_text(encoding="utf-8") == source(collect())
