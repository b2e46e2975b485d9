"""The same program gives the same trace: again, in another process, with another hash seed."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.codec import random_program
from fuzz.harness import Harness
from fuzz.overlay import load_model
from fuzz.text import format_program
from fuzz.timeline import trace_text
from fuzz.vocabulary import Program

ROOT = Path(__file__).parents[2]
PROGRAMS = 60

CHILD = """
from tests.quality import test_determinism
print(test_determinism.{function}())
"""


def some_programs() -> list[Program]:
    rng = random.Random(2026)
    return [random_program(rng, ops_min=8, ops_max=20) for _ in range(PROGRAMS)]


def digest_of_traces() -> str:
    """A digest over programs and their traces on both models."""
    digest = hashlib.sha256()
    for program in some_programs():
        digest.update(format_program(program).encode())
        for name in ("stock", "seed"):
            digest.update(trace_text(program, load_model(name)).encode())
    return digest.hexdigest()


def features_of_some_programs() -> str:
    """Features and counters of a few programs, written down in the harness's own order."""
    harness = Harness(load_model("stock"), load_model("seed"))
    lines = []
    for program in some_programs():
        look = harness.run(program)
        lines += [str(sorted(look.features)), str(look.windows)]
    lines += [str(feature) for feature in harness.numbers]
    return "\n".join(lines)


def elsewhere(function: str, hash_seed: str) -> str:
    """What a function of this file gives in another process."""
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    code = CHILD.format(function=function)
    child = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return child.stdout.strip()


def test_a_program_run_twice_gives_the_same_trace_to_the_byte() -> None:
    model = load_model("seed")
    for program in some_programs():
        assert trace_text(program, model) == trace_text(program, model)


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_another_process_with_another_hash_seed_gives_the_same_traces(hash_seed: str) -> None:
    assert elsewhere("digest_of_traces", hash_seed) == digest_of_traces()


@pytest.mark.parametrize("hash_seed", ["1", "77"])
def test_another_process_sees_and_numbers_the_same_features(hash_seed: str) -> None:
    assert elsewhere("features_of_some_programs", hash_seed) == features_of_some_programs()


def test_the_comparison_would_notice_injected_randomness(monkeypatch: pytest.MonkeyPatch) -> None:
    from reference.kvm import Kvm

    coin = random.Random(1)
    before = digest_of_traces()
    monkeypatch.setattr(Kvm, "rwlock_needbreak", lambda kvm: coin.random() < 0.5)
    monkeypatch.setattr(Kvm, "mmu_invalidate_retry_gfn_unsafe", lambda kvm, f: coin.random() < 0.1)
    assert digest_of_traces() != before
