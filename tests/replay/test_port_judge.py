"""The judge says of runs in C what it says of runs in Python, search and all."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

import pytest

from fuzz.codec import random_program
from fuzz.judge import Judgement, judge
from fuzz.outcome import final_state, guest_memory, young_leaves
from fuzz.overlay import Model, load_model
from fuzz.port.rebuild import rebuild
from fuzz.port.runner import Runner, on_port
from fuzz.search import execute
from fuzz.text import format_program, load, parse
from fuzz.vocabulary import Program
from reference.features import PROFILES, Profile
from tests.ports import port_of

CORPORA: Final = Path(__file__).parents[2] / "corpora"
FILES: Final = sorted(path.relative_to(CORPORA).as_posix() for path in CORPORA.rglob("*.prog"))
# Those in which sides are searched most; the rest is slow only because there is so much of it.
QUICK: Final = [f for f in FILES if f.split("/")[0] in ("findings", "good_bad", "windows")][::3]
NAMES: Final = ("stock", "seed")
IN_PYTHON: Final = load_model("stock"), load_model("seed")
VOID: Final = """\
gmemdiff 1
profile: v7.2 x86-tdp
vmm0:
  nop
  nop
vcpu0:
  nop
schedule:
  vmm0[1] at begin#1 -> vcpu0
"""  # vcpu0 has nothing left to do by then
FEW: Final = 40  # schedules of a search
MANY: Final = 1000


@pytest.fixture(scope="module")
def in_c() -> tuple[Model, Model]:
    """Both models, run by their ports."""
    ours, theirs = (on_port(load_model(name), port_of(name)) for name in NAMES)
    return ours, theirs


def said(judgement: Judgement) -> dict[str, Any]:
    """All that a finding is made of, but the words of a broken rule, which C does not have."""
    return {
        "lines": judgement.lines,
        "broken": [(b.rule, b.site, b.side, b.where, b.evidence) for b in judgement.broken],
        "differing": [str(each) for each in judgement.differing],
        "evidence": judgement.evidence,
        "benefit": judgement.benefit,
        "stale": judgement.stale,
        "drift": judgement.drift,
        "expectation": judgement.expectation,
        "fingerprint": judgement.fingerprint,
    }


def assert_same(program: Program, in_c: tuple[Model, Model], schedules: int) -> None:
    """Judge a program in Python and in C."""
    expected = said(judge(program, *IN_PYTHON, schedules))
    assert said(judge(program, *in_c, schedules)) == expected, format_program(program)


@pytest.mark.parametrize("file", QUICK)
def test_the_judge_says_the_same_of_runs_in_c(file: str, in_c: tuple[Model, Model]) -> None:
    assert_same(load(str(CORPORA / file)), in_c, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_the_judge_says_the_same_of_the_whole_corpora(file: str, in_c: tuple[Model, Model]) -> None:
    assert_same(load(str(CORPORA / file)), in_c, MANY)


def test_the_programs_judged_break_rules_on_one_side_and_on_both(in_c: tuple[Model, Model]) -> None:
    """Or else the tests above would compare agreement with agreement."""
    sides = {b.side for file in QUICK for b in judge(load(CORPORA / file), *in_c, FEW).broken}
    assert {"both", "unsettled"} <= sides


def test_what_a_run_in_c_took_is_what_a_recorder_is_told(in_c: tuple[Model, Model]) -> None:
    """The search extends schedules by what its recorder saw."""

    class Trace(list[tuple[str, int, str]]):
        def step(self, kvm: object, actor: str, op: int, label: str) -> None:
            self.append((actor, op, label))

    void = 0
    for program in (*(load(CORPORA / file) for file in QUICK), parse(VOID)):
        traces = (Trace(), Trace())
        runs = [
            execute(model, program, recorder=trace)
            for model, trace in zip((IN_PYTHON[1], in_c[1]), traces, strict=True)
        ]
        assert traces[0] == traces[1], format_program(program)
        assert runs[0].taken == runs[1].taken
        assert runs[0].void == runs[1].void
        void += len(runs[0].void)
        assert (runs[0].end, runs[0].steps) == (runs[1].end, runs[1].steps)
    assert void


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_the_state_that_is_built_up_from_c_is_the_one_that_python_is_left_with(
    profile: Profile, name: str
) -> None:
    rng = random.Random(f"rebuild {profile}")
    model, port = load_model(name), port_of(name)
    for _ in range(15):
        program = random_program(rng, profile)
        python = execute(model, program).kvm
        port.load(program)
        port.run()
        rebuilt = rebuild(program, port.dump())
        text = format_program(program)
        assert final_state(rebuilt) == final_state(python), text
        for where, ours, theirs in guest_memory(python, rebuilt):
            assert ours == theirs, (where, text)
        for where, young, old in young_leaves(python, rebuilt):
            assert young == old, (where, text)
        leaves = [[(r.as_id, r.l2, r.invalid, sorted(r.sptes)) for r in kvm.roots]
                  for kvm in (python, rebuilt)]  # fmt: skip
        assert leaves[0] == leaves[1], text


def test_a_state_is_built_up_from_the_run_it_belongs_to_although_others_came_after() -> None:
    program, other = (load(CORPORA / QUICK[at]) for at in (0, -1))
    runner = Runner(port_of("stock"))
    run = runner(program)
    runner(other)
    assert final_state(run.kvm) == final_state(execute(IN_PYTHON[0], program).kvm)
