"""One hunt: a fuzzing engine on one mutant, from nothing, until it is killed or the budget is up.

    python -m tools.mutants.hunt MUTANT ENGINE SEED EXECUTIONS [PROFILE]

prints what came of it as one line of JSON (tools/mutants/outcome.py).  A process of its own,
because Atheris does not come back.  Killed means what a finding means: a rule that the mutant
breaks, or a difference, which the model without the mistake does not show under any schedule of
the program within the bounded search.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from typing import NoReturn

from fuzz.execution import HarnessError
from fuzz.finding import Finding, Kind, kinds_of
from fuzz.harness import Harness, Look
from fuzz.judge import PATCHED_ONLY, Verdict
from fuzz.mutants import Mutant, all_mutants
from fuzz.overlay import Model, load_model
from fuzz.port.build import Options
from fuzz.port.engine import PortHarness
from fuzz.port.library import load_port
from fuzz.port.lockstep import Drift
from fuzz.port.pair import Pair
from fuzz.port.runner import on_port
from fuzz.target import LIBFUZZER_OPTIONS, Target, fuzz
from fuzz.text import format_program
from fuzz.triage import Triage
from fuzz.vocabulary import Program
from reference.features import PROFILES, Profile
from tools.mutants.outcome import Outcome

OPS: tuple[int, int] = (2, 10)  # of a program, as in a campaign
QUIET = ("-verbosity=0", "-print_final_stats=0", "-reduce_inputs=0")


class Hunt:
    """Settles what the engine sees, and ends the process at the first kill.

    judged: the two models to search with, reference first.
    """

    def __init__(self, outcome: Outcome, judged: tuple[Model, Model], profile: Profile) -> None:
        self.outcome = outcome
        self.triage = Triage(*judged, profiles=(profile,))
        self.harness: Harness
        self.start = time.process_time()
        self.settling = 0.0  # seconds that triage took; in a campaign it runs beside

    def __call__(self, program: Program, look: Look) -> None:
        """One execution that is worth a look."""
        if look.judgement is None or look.judgement.verdict < Verdict.DIVERGE:
            return
        seen = [kind for kind in kinds_of(look.judgement) if kind.side == PATCHED_ONLY]
        due = [kind for kind in seen if self.triage.memory.worth(kind)]
        if due:
            self._settle(program, due)

    def _settle(self, program: Program, due: list[Kind]) -> None:
        before = time.process_time()
        first = self.triage.first_look(program)
        for kind in due:
            finding = self.triage.follow(program, kind, first).finding
            if finding is not None and finding.kind.side == PATCHED_ONLY:
                self.settling += time.process_time() - before
                self.killed(finding)
        self.settling += time.process_time() - before

    def killed(self, finding: Finding) -> NoReturn:
        """The mistake is found: say what by, and end."""
        shown = [b.rule for b in finding.broken if b.side == PATCHED_ONLY]
        self.outcome.rules = tuple(dict.fromkeys((finding.kind.rule, *shown)))
        self.outcome.site = finding.kind.site
        self.outcome.program = format_program(finding.program)
        self.end()

    def drifted(self, program: Program, drift: Drift) -> None:
        """The two versions of the mutant are not the same mistake."""
        self.outcome.error = f"{drift}\n\n{format_program(program)}"
        self.end()

    def end(self) -> NoReturn:
        """Print what came of it, and end the process, which Atheris would not."""
        self.outcome.executions = self.harness.executions
        self.outcome.seconds = time.process_time() - self.start - self.settling
        print(self.outcome.to_json())
        sys.stdout.flush()
        os._exit(0)


class _Hunted(Target):
    """A target that gives up when the budget of executions is used up."""

    hunt: Hunt
    budget: int

    def test_one_input(self, data: bytes) -> None:
        try:
            super().test_one_input(data)
        except HarnessError as error:
            self.hunt.outcome.error = str(error)
            self.hunt.end()
        if self.harness.executions >= self.budget:
            self.hunt.end()


def hunt(mutant: Mutant, engine: str, seed: int, budget: int, everywhere: bool) -> None:
    """Run one hunt; does not come back.  everywhere: on all profiles, not the mutant's alone."""
    models = load_model(mutant.base), load_model(mutant.model)
    profiles = PROFILES if everywhere else (mutant.profile,)
    outcome = Outcome(mutant.name, engine, seed)
    harness: Harness
    if engine == "c":
        pair = Pair(*(load_port(m.name, Options(coverage=True)) for m in models))
        judged = on_port(models[0], pair.reference), on_port(models[1], pair.patched)
        hunter = Hunt(outcome, judged, mutant.profile)
        harness = PortHarness(*models, pair, hunter.drifted)
    else:
        hunter = Hunt(outcome, models, mutant.profile)
        harness = Harness(*models)
    hunter.harness = harness
    target = _Hunted(*models, profiles, OPS, hunter, harness)
    target.hunt, target.budget = hunter, budget
    with tempfile.TemporaryDirectory() as corpus:
        # libFuzzer takes 0 for "choose one yourself".
        fuzz(target, ["gmemdiff", *LIBFUZZER_OPTIONS, *QUIET, f"-seed={seed + 1}", corpus])


def main(arguments: list[str]) -> int:
    """Run one hunt, as the parent asks for it."""
    name, engine, seed, budget, where = arguments
    mutant = next(m for m in all_mutants() if m.name == name)
    hunt(mutant, engine, int(seed), int(budget), where == "everywhere")
    return 1  # Atheris came back by itself


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
