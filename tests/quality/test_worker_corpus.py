"""What libFuzzer, set up as a worker sets it up, does to the files of a corpus."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tools.campaign.child.worker import OPTIONS
from tools.campaign.layout import content_name

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parents[2]
RUNS: Final = 200

# Every input covers the same, and the mutator makes each a byte shorter.
SHRINKING: Final = """
import sys
from types import SimpleNamespace
from fuzz.harness import COUNTERS
from fuzz.target import fuzz

counters = bytearray(COUNTERS)

def run(data):
    counters[0] = 1

def shorter(data, *_):
    return data[:-1] or b"x"

fuzz(
    SimpleNamespace(
        harness=SimpleNamespace(counters=counters, native=lambda: []),
        test_one_input=run,
        custom_mutator=shorter,
        custom_crossover=shorter,
    ),
    ["shrinking", *sys.argv[1:]],
)
"""


def files_after(corpus: Path, *options: str) -> list[str]:
    """The names in a corpus of one file that shrinks, after RUNS executions."""
    corpus.mkdir()
    data = b"y" * 2 * RUNS
    (corpus / content_name(data)).write_bytes(data)
    subprocess.run(
        [sys.executable, "-c", SHRINKING, *options, "-seed=1", f"-runs={RUNS}", str(corpus)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=corpus.parent,
        check=True,
        capture_output=True,
        timeout=60,
    )
    return sorted(path.name for path in corpus.iterdir())


def test_a_corpus_that_was_there_before_does_not_grow_by_smaller_forms_of_its_files(
    tmp_path: Path,
) -> None:
    """Left to itself libFuzzer keeps every form, which shows that this test would notice."""
    assert files_after(tmp_path / "ours", *OPTIONS) == [content_name(b"y" * 2 * RUNS)]
    ours_reducing = [each for each in OPTIONS if not each.startswith("-reduce_inputs")]
    assert len(files_after(tmp_path / "theirs", *ours_reducing)) > RUNS / 2
