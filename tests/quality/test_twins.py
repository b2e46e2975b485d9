"""One run for two sides says what two runs say, on random programs."""

from __future__ import annotations

import random
from dataclasses import replace

from fuzz.codec import random_program
from fuzz.harness import Harness
from fuzz.judge import Judgement, compare, run_both
from fuzz.overlay import load_model
from fuzz.probes import PROBES_MAX
from fuzz.twins import Twins
from fuzz.vocabulary import Program

STOCK = load_model("stock")
SEED = load_model("seed")


def programs(count: int) -> list[Program]:
    rng = random.Random(7)
    return [random_program(rng, None, 2, 12) for _ in range(count)]


def words(judgement: Judgement | None) -> object:
    """All that a judgement says."""
    if judgement is None:
        return None
    return judgement.verdict, judgement.broken, judgement.differing, judgement.evidence


def test_one_run_says_what_two_runs_say() -> None:
    twins = Twins(STOCK, SEED)
    saved = 0
    for program in programs(120):
        ours, theirs = twins.run(program)
        saved += ours is theirs
        both = run_both(program, STOCK, SEED)
        assert words(compare(program, SEED, ours, theirs)) == words(compare(program, SEED, *both))
        for one, other in zip((ours, theirs), both, strict=True):
            assert (one.steps, one.end, one.results) == (other.steps, other.end, other.results)
            assert (one.taken, one.void, one.where) == (other.taken, other.void, other.where)
    assert 20 < saved < 100


def test_a_campaign_counts_the_same_with_one_run_as_with_two() -> None:
    one, two = Harness(STOCK, SEED), Harness(STOCK, replace(SEED, pure=False))
    for program in programs(60):
        looks = []
        for harness in (one, two):
            harness.counters[:] = bytes(len(harness.counters))
            looks.append(harness.run(program))
        assert one.counters[: 2 * PROBES_MAX] == two.counters[: 2 * PROBES_MAX]
        assert looks[0].features == looks[1].features
        assert words(looks[0].judgement) == words(looks[1].judgement)
