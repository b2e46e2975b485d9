"""Any model compared with itself agrees with itself: no false alarm from the machinery."""

from __future__ import annotations

import random

from hypothesis import given, settings

from fuzz.codec import random_program
from fuzz.judge import BOTH, judge, suspicious
from fuzz.overlay import load_model
from fuzz.vocabulary import Program
from tests.strategies import decoded_programs

STOCK = load_model("stock")
SEED = load_model("seed")


def assert_both_or_nothing(program: Program) -> None:
    found = suspicious(program, STOCK, STOCK)
    if found is not None:
        assert not found.differing
        assert {b.side for b in found.broken} == {BOTH}


@settings(max_examples=2000, deadline=None)
@given(decoded_programs())
def test_the_reference_never_differs_from_itself(program: Program) -> None:
    assert_both_or_nothing(program)


def test_the_reference_never_differs_from_itself_on_three_thousand_dense_programs() -> None:
    rng = random.Random(77)
    for _ in range(3000):
        assert_both_or_nothing(random_program(rng, ops_min=8, ops_max=24))


# What the kernel itself does wrong, as far as the model finds it: a program for each is in
# corpora/findings.  Everything else that the reference breaks is a mistake of the model.
KNOWN = {
    ("gmem-backing", "prefetched leaf"),
    ("gmem-backing", "prefetched tlb"),
    ("warn", "mmu_set_spte: a direct leaf changes its pfn"),
    ("warn", "kvm_gmem_get_pfn: bound to another slot"),
    ("stale-gpc", "hva_to_pfn_retry"),
    ("deadlock", "kvm_gmem_error_folio.invalidate_lock+truncate_inode_pages_range.folio_lock"),
}


def test_the_reference_breaks_no_rule_but_those_of_the_bugs_we_know() -> None:
    rng = random.Random(78)
    for _ in range(3000):
        found = suspicious(random_program(rng, ops_min=8, ops_max=24), STOCK, STOCK)
        if found is not None:
            assert {(b.rule, b.site) for b in found.broken} <= KNOWN, found.headline


def test_the_patched_model_never_differs_from_itself() -> None:
    rng = random.Random(79)
    for _ in range(1000):
        found = suspicious(random_program(rng, ops_min=8, ops_max=24), SEED, SEED)
        if found is not None:
            assert not found.differing
            assert {b.side for b in found.broken} == {BOTH}


def test_a_full_judgement_of_the_patch_on_tdp_and_arm64_is_no_false_alarm() -> None:
    """Without nested guests these flavours prefetch nothing; only stale-gpc is left (x86)."""
    rng = random.Random(80)
    done = 0
    while done < 1500:
        program = random_program(rng, ops_min=6, ops_max=14)
        nested = any(
            op.name in ("read", "write") and op.args[-2] for a in program.actors for op in a.ops
        )
        if program.profile.mmu not in ("x86-tdp", "arm64") or nested:
            continue
        done += 1
        if suspicious(program, STOCK, SEED) is not None:
            lines = judge(program, STOCK, SEED, runs_max=300).lines
            assert set(lines) <= {"agree", "inconclusive", "patched-only stale-gpc"}, lines
