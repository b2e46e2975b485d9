"""One execution of a campaign: run both sides of a program, compare, and say what was new.

The counters are what libFuzzer sees: first the probes of either side, then one byte for each
feature (fuzz/feedback.py) in the order of their first appearance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fuzz.execution import Execution, Plan, Run
from fuzz.feedback import Feature, Feedback
from fuzz.finding import kinds_of
from fuzz.judge import Judgement, compare
from fuzz.overlay import Model
from fuzz.probes import PROBES_MAX, Probes
from fuzz.search import execute
from fuzz.vocabulary import Program

FEATURES_MAX: Final = 1 << 15
COUNTERS: Final = 2 * PROBES_MAX + FEATURES_MAX


@dataclass(slots=True)
class Look:
    """What one execution showed.  judgement: None when both sides agree and break nothing."""

    judgement: Judgement | None
    features: set[Feature]
    windows: list[tuple[str, str]]  # window and op, each time one was entered
    sides: tuple[Run, Run]


class Harness:
    """Two models with probes, and the counters they write to.

    counters: COUNTERS bytes; whoever reads them clears them before each execution.
    """

    def __init__(self, reference: Model, patched: Model, counters: bytearray | None = None) -> None:
        self.counters = bytearray(COUNTERS) if counters is None else counters
        self.reference = Probes(reference, self.counters)
        self.patched = Probes(patched, self.counters, PROBES_MAX)
        self.numbers: dict[Feature, int] = {}  # feature -> its counter

    def run(self, program: Program) -> Look:
        """Run a program on both sides.  Raises HarnessError when our own code fails."""
        plan = Plan.of(program)
        features: set[Feature] = set()
        ours = execute(self.reference.model, program, plan)
        watch = self._watch_patched(program, plan, features)
        theirs = watch.execution.run()
        features.update([("window", *entered) for entered in watch.windows])
        judgement = compare(program, self.patched.model, ours, theirs)
        if judgement is not None:
            features.update([("kind", k.rule, k.site, k.side) for k in kinds_of(judgement)])
        self._count(features)
        return Look(judgement, features, watch.windows, (ours, theirs))

    def _count(self, features: set[Feature]) -> None:
        numbers, counters = self.numbers, self.counters
        # Sorted, so that no order of a set decides on the numbers: same seed, same campaign.
        for feature in sorted([each for each in features if each not in numbers]):
            # Past the end, the last ones share a counter.
            numbers[feature] = min(2 * PROBES_MAX + len(numbers), COUNTERS - 1)
        for feature in features:
            counters[numbers[feature]] = 1

    def _watch_patched(self, program: Program, plan: Plan, features: set[Feature]) -> Feedback:
        """The side under test is watched: the interleavings that count are those it can be in."""
        model = self.patched.model
        watch = Feedback("gmem-survival" in model.promises, program, features)
        watch.execution = Execution(model.kvm, plan, watch, recorder=watch)
        return watch
