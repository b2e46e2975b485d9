"""The test that HypoFuzz runs; see hypofuzz.py.  Without its environment there is no test here."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NoReturn
from unittest import TestCase

from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tools.bench.child import stage_of
from tools.bench.rivals.hypofuzz import OUTCOME, TASK
from tools.bench.rivals.stateful import machine
from tools.bench.task import Outcome, Task


def _leave(outcome: Outcome) -> NoReturn:
    """Write the outcome whole, and end this process; the parent ends the others."""
    path = Path(os.environ[OUTCOME])
    new = path.with_suffix(".new")
    new.write_text(json.dumps(outcome.to_json()), encoding="utf-8")
    new.replace(path)
    os._exit(0)


def _test() -> type[TestCase]:
    task = Task.from_json(json.loads(os.environ[TASK]))
    case = machine(stage_of(task, _leave))
    made: type[TestCase] = case.TestCase
    made.settings = settings(  # type: ignore[attr-defined]
        stateful_step_count=2 * task.ops[1],
        database=DirectoryBasedExampleDatabase(Path.cwd() / "examples"),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    return made


if TASK in os.environ:
    TestProgram = _test()
