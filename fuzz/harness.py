"""One execution of a campaign: run both sides of a program, compare, and say what was new.

The counters are what libFuzzer sees: first the probes of either side, then one byte for each
feature (fuzz/feedback.py) in the order of their first appearance.  They are the same whether the
reference's run was needed or not (fuzz/twins.py).
"""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from fuzz.execution import Execution, Plan, Run
from fuzz.feedback import Feature, Feedback
from fuzz.finding import kinds_of
from fuzz.judge import Judgement, compare
from fuzz.native import Region
from fuzz.overlay import Model
from fuzz.partings import Partings, part
from fuzz.probes import PROBES_MAX, Probes
from fuzz.search import execute
from fuzz.strategies.named import make_strategy
from fuzz.text import format_program
from fuzz.twins import Twins
from fuzz.vocabulary import Program

FEATURES_MAX: Final = 1 << 15
RECENT_MAX: Final = 256
BESIDE: Final = ("walk", "pct", "windows")  # strategies of what runs beside the inputs
DEPTHS: Final = (2, 4)  # of PCT
COUNTERS: Final = 2 * PROBES_MAX + FEATURES_MAX


Draw = Callable[[random.Random], Program]


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
    executions, steps: done so far by looks(), a step of either side being one.
    recent: programs that looks() came by and that showed something new.
    parted: programs under which the sides took different steps, where few do.
    draw: gives random programs to run beside the inputs; None: none are.
    """

    def __init__(self, reference: Model, patched: Model, counters: bytearray | None = None) -> None:
        self.counters = bytearray(COUNTERS) if counters is None else counters
        self.reference = Probes(reference, self.counters)
        self.patched = Probes(patched, self.counters, PROBES_MAX)
        self.models = reference, patched
        self.twins = Twins(reference, patched)
        self.unwatched = Twins(reference, patched)
        self.asking = self.twins.asking(self.reference.model, self.patched.model)
        self.shared = self._shared()
        self.numbers: dict[Feature, int] = {}  # feature -> its counter
        self.quick = patched  # for a run of which only the steps matter
        self.executions = self.steps = 0
        self.recent: deque[Program] = deque(maxlen=RECENT_MAX)
        self.parted: deque[Program] = deque(maxlen=RECENT_MAX)
        self.partings = Partings()
        self.draw: Draw | None = None

    def looks(self, program: Program) -> Iterator[tuple[Program, Look]]:
        """Execute a program, and perhaps others like it; those that are worth a look, with it.

        Raises HarnessError when our own code fails.
        """
        look = self.run(program)
        self.executions += 1
        self.steps += sum(side.steps for side in look.sides)
        self._note(program, *look.sides)
        yield program, look
        if self.draw is not None:
            yield from self._beside(program, self.draw)

    def _note(self, program: Program, ours: Run, theirs: Run) -> None:
        """Keep a program whose sides part, where few programs do."""
        if self.partings.count(part(ours, theirs)):
            self.parted.append(program)

    def _beside(self, program: Program, draw: Draw) -> Iterator[tuple[Program, Look]]:
        """A random program under a strategy, as often as an input; it leaves no counters.

        What random finds first, guidance is slow to find, and the other way round: half of the
        runs for each costs either at most twice as long.
        """
        rng = random.Random(seed_of(program))
        chosen = make_strategy(rng.choice(BESIDE), rng.getrandbits(64), rng.randint(*DEPTHS))
        beside, ours, theirs = self.unwatched.drive(draw(rng), chosen)
        self.executions += 1
        self.steps += ours.steps + theirs.steps
        self._note(beside, ours, theirs)
        judgement = compare(beside, self.models[1], ours, theirs)
        if judgement is not None:
            yield beside, Look(judgement, set(), [], (ours, theirs))

    def run(self, program: Program) -> Look:
        """Run a program on both sides.  Raises HarnessError when our own code fails."""
        plan = Plan.of(program)
        features: set[Feature] = set()
        self.twins.begin()
        watch = self._watch_patched(program, plan, features)
        theirs = watch.execution.run()
        agree = self.twins.agree(theirs)
        ours = theirs if agree else execute(self.reference.model, program, plan)
        features.update([("window", *entered) for entered in watch.windows])
        judgement = compare(program, self.patched.model, ours, theirs)
        if agree:
            for reference, patched in self.shared:
                self.counters[reference] = self.counters[patched]
        if judgement is not None:
            features.update([("kind", k.rule, k.site, k.side) for k in kinds_of(judgement)])
        self._count(features)
        return Look(judgement, features, watch.windows, (ours, theirs))

    def native(self) -> list[Region]:
        """Counters outside of Python that libFuzzer should read as well."""
        return []

    def _count(self, features: set[Feature]) -> None:
        numbers, counters = self.numbers, self.counters
        # Sorted, so that no order of a set decides on the numbers: same seed, same campaign.
        for feature in sorted([each for each in features if each not in numbers]):
            # Past the end, the last ones share a counter.
            numbers[feature] = min(2 * PROBES_MAX + len(numbers), COUNTERS - 1)
        for feature in features:
            counters[numbers[feature]] = 1

    def _shared(self) -> list[tuple[slice, slice]]:
        """Where the counters of functions that both models share lie, on either side."""
        shared: list[tuple[slice, slice]] = []
        for name, ours in self.reference.spans.items():
            if name in self.twins.asked:  # the reference counts when it is asked
                continue
            at, to = ours.start, self.patched.spans[name].start + PROBES_MAX
            if shared and shared[-1][0].stop == at and shared[-1][1].stop == to:
                before, after = shared.pop()
                at, to = before.start, after.start
            length = ours.stop - at
            shared.append((slice(at, ours.stop), slice(to, to + length)))
        return shared

    def _watch_patched(self, program: Program, plan: Plan, features: set[Feature]) -> Feedback:
        """The side under test is watched: the interleavings that count are those it can be in."""
        model = self.asking
        watch = Feedback("gmem-survival" in model.promises, program, features)
        watch.execution = Execution(model.kvm, plan, watch, recorder=watch)
        return watch


def seed_of(program: Program) -> int:
    """For all that is drawn beside a program: the same program, the same draws."""
    digest = hashlib.blake2b(format_program(program).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")
