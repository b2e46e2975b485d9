"""Our own engine, as a worker of a campaign runs it: Atheris with our mutator and our feedback."""

from __future__ import annotations

from fuzz.harness import Harness, Look
from fuzz.port.engine import PortHarness
from fuzz.target import LIBFUZZER_OPTIONS, Target, fuzz
from fuzz.vocabulary import Program
from tools.bench.rivals.rival import Stage
from tools.campaign.child.worker import CORPUS_OPTIONS, QUIET_OPTIONS


class _Target(Target):
    """A target that looks at the clock after each input."""

    stage: Stage

    def test_one_input(self, data: bytes) -> None:
        """Run one input."""
        before = self.harness.executions
        super().test_one_input(data)
        self.stage.referee.ran(self.harness.executions - before)


def in_python(stage: Stage) -> None:
    """Both sides in Python."""
    _fuzz(stage, Harness(*stage.models))


def in_c(stage: Stage) -> None:
    """C explores each program; what is new or bad is looked at in Python."""
    _fuzz(stage, PortHarness(*stage.models, stage.joined))


def _fuzz(stage: Stage, harness: Harness) -> None:
    def shown(program: Program, look: Look) -> None:
        stage.referee.look(program, look.judgement)

    task = stage.task
    target = _Target(*stage.models, task.parsed_profiles, task.ops, shown, harness)
    target.stage = stage
    stage.referee.start()
    options = (*LIBFUZZER_OPTIONS, *QUIET_OPTIONS, *CORPUS_OPTIONS, f"-seed={task.seed + 1}")
    fuzz(target, ["gmemdiff", *options])
