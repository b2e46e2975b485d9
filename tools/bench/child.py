"""One rival, one mistake, one seed, in a process of its own.

    python -m tools.bench.child TASK

TASK is a Task as JSON; the Outcome comes out as one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from fuzz.overlay import OverlayError, load_model
from fuzz.port.build import BuildError, Options, ported_models
from fuzz.port.library import load_port
from fuzz.port.pair import Pair
from fuzz.port.patching import PatchError
from fuzz.port.runner import on_port
from tools import exits
from tools.bench.referee import Judge, Referee
from tools.bench.rivals.rival import Stage
from tools.bench.rivals.table import RIVALS
from tools.bench.task import Outcome, Task


def tell(outcome: Outcome) -> NoReturn:
    """Print the outcome and end at once: whoever called may not let go."""
    print(json.dumps(outcome.to_json()), flush=True)
    os._exit(exits.CLEAN)


def stage_of(task: Task, finish: Callable[[Outcome], NoReturn] = tell) -> Stage:
    """Load what a task needs.  Raises OverlayError, BuildError, PatchError, NoCompilerError."""
    models = load_model(task.reference), load_model(task.model)
    pair = None
    if {task.reference, task.model} <= set(ported_models()):
        options = Options(coverage=RIVALS[task.rival].ours)
        pair = Pair(load_port(task.reference, options), load_port(task.model, options))
    fast = models
    if pair is not None:
        fast = on_port(models[0], pair.reference), on_port(models[1], pair.patched)
    referee = Referee(task.seconds, Judge(*fast, task.parsed_profiles), finish)
    return Stage(task, models, fast, pair, referee)


def main(arguments: list[str]) -> int:
    """Run one task."""
    task = Task.from_json(json.loads(arguments[0]))
    try:
        stage = stage_of(task)
        RIVALS[task.rival].run(stage)
    except (OverlayError, BuildError, PatchError, ValueError) as error:
        tell(Outcome(False, 0.0, error=str(error)))
    return exits.INTERNAL  # nobody found anything, and yet it ended


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
