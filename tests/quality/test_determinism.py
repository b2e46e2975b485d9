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
from fuzz.overlay import load_model
from fuzz.text import format_program
from fuzz.timeline import trace_text
from fuzz.vocabulary import Program

ROOT = Path(__file__).parents[2]
PROGRAMS = 60

CHILD = """
import sys
from tests.quality.test_determinism import digest_of_traces
print(digest_of_traces())
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


def test_a_program_run_twice_gives_the_same_trace_to_the_byte() -> None:
    model = load_model("seed")
    for program in some_programs():
        assert trace_text(program, model) == trace_text(program, model)


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_another_process_with_another_hash_seed_gives_the_same_traces(hash_seed: str) -> None:
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    child = subprocess.run(
        [sys.executable, "-c", CHILD], env=env, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert child.stdout.strip() == digest_of_traces()


def test_the_comparison_would_notice_injected_randomness(monkeypatch: pytest.MonkeyPatch) -> None:
    from reference.kvm import Kvm

    coin = random.Random(1)
    before = digest_of_traces()
    monkeypatch.setattr(Kvm, "rwlock_needbreak", lambda kvm: coin.random() < 0.5)
    monkeypatch.setattr(Kvm, "mmu_invalidate_retry_gfn_unsafe", lambda kvm, f: coin.random() < 0.1)
    assert digest_of_traces() != before
