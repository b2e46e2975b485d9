"""Running programs in C for everything that takes a Run: the search, the judge, the minimiser.

A model with a runner is executed by it (fuzz/search.py).  What it leaves is a Run like any other;
its final state is built up as Python objects only when somebody looks at it, which few do.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, Final, cast

from fuzz.execution import End, Plan, Recorder, Run, Where
from fuzz.overlay import Model
from fuzz.port.build import BuildError
from fuzz.port.compiler import NoCompilerError
from fuzz.port.encode import BeyondPortError
from fuzz.port.exhaustive import PREEMPTIONS_MAX, Exhaustive, Survey, port_to_explore
from fuzz.port.library import Port
from fuzz.port.patching import PatchError
from fuzz.port.rebuild import rebuild
from fuzz.search import execute
from fuzz.vocabulary import SETUP, Program
from reference.kvm import Kvm

TABLE_MAX: Final = 1 << 27  # bytes, for states
_BROKEN: Final = re.compile(r"(\S+) at (.*): step (\d+), (\w+)\[(-?\d+)\] at (.*)")
_RESULT: Final = re.compile(r"(\w+)\[(\d+)\] = (.*)")
_STEP: Final = struct.Struct("iiII")  # struct taken_step of fuzz/c/program.h
_ENDS: Final = {end.value: end for end in End}


class PortKvm:
    """What a run in C left: broken rules and counters at once, the rest when it is asked for."""

    def __init__(self, port: Port, program: Program) -> None:
        self._port = port
        self._program = program
        self._rebuilt: Kvm | None = None
        self.violations: dict[tuple[str, str], str] = {}

    def __getattr__(self, name: str) -> Any:
        """Part of the final state: the program is run again, which gives the same."""
        if name.startswith("_"):
            raise AttributeError(name)
        if self._rebuilt is None:
            self._port.load(self._program)
            self._port.run()
            self._rebuilt = rebuild(self._program, self._port.dump())
        return getattr(self._rebuilt, name)


class Runner:
    """Runs programs on a port."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self._names = list(port.labels)

    def __call__(self, program: Program, recorder: Recorder | None = None) -> Run:
        """One run.  Raises HarnessError, BeyondPortError."""
        port = self.port
        port.load(program)
        port.log_steps(recorder is not None)
        port.run()
        port.log_steps(False)  # the runs of exploring would pay for it, too
        kvm = PortKvm(port, program)
        run = Run(cast(Kvm, kvm))
        taken = self._read(program, run, kvm, port.outcome())
        if recorder is None:
            run.taken += [program.schedule[at] for at in taken]
        else:
            self._replay(program, run, recorder, taken)
        return run

    def _read(self, program: Program, run: Run, kvm: PortKvm, text: str) -> list[int]:
        """Fill a run in from its outcome; returns the preemptions taken, by number."""
        taken: list[int] = []
        for line in text.splitlines():
            word, _, rest = line.partition(" ")
            if match := _RESULT.fullmatch(line):
                run.results[match[1], int(match[2])] = match[3]
            elif word == "broken":
                found = _BROKEN.fullmatch(rest)
                assert found is not None, line
                rule, site, step, actor, op, label = found.groups()
                kvm.violations[rule, site] = f"{rule} at {site}"
                run.where[rule, site] = Where(int(step), actor, int(op), label)
            elif word == "taken":
                taken.append(int(rest))
            elif word == "void":
                run.void.append(program.schedule[int(rest)])
            elif word == "end":
                run.end = _ENDS[rest]
            elif word == "steps":
                run.steps = int(rest)
            elif word == "stuck":
                run.site = rest
                run.stuck = (rest,) if rest else ()
            else:  # counters, in pairs
                words = line.split()
                for name, value in zip(words[::2], words[1::2], strict=True):
                    setattr(kvm, name, int(value))
        return taken

    def _replay(self, program: Program, run: Run, recorder: Recorder, taken: list[int]) -> None:
        """Tell the recorder of every step, with the preemptions taken by then."""
        started = getattr(recorder, "started", None)
        if started is not None:
            started(run)
        actors = [SETUP, *(actor.name for actor in program.actors)]
        names, kvm, tell, done = self._names, run.kvm, recorder.step, 0
        for actor, op, label, so_far in _STEP.iter_unpack(self.port.steps(_STEP.size)):
            while done < so_far:
                run.taken.append(program.schedule[taken[done]])
                done += 1
            tell(kvm, actors[actor + 1], op, names[label])
        run.taken += [program.schedule[at] for at in taken[len(run.taken) :]]


def on_port(model: Model, port: Port) -> Model:
    """The model, run in C; what is beyond the port's limits is run in Python.

    Of a model that exists in C only, BeyondPortError is raised.
    """
    runner = Runner(port)
    in_python = replace(model, runner=None)

    def run(plan: Plan, recorder: Recorder | None) -> Run:
        try:
            return runner(plan.program, recorder)
        except BeyondPortError:
            if model.c_only:
                raise
            return execute(in_python, plan.program, plan, recorder)

    return replace(model, runner=run, survey=surveyor(model.name))


def surveyor(name: str) -> Callable[[Program, int, int], Survey | None]:
    """What explores programs on the model called `name`, as far as so many steps go.

    It gives None for what is beyond the port.  The build that can be explored is made when it is
    first needed, which few programs do.
    """

    @cache
    def engine() -> Exhaustive | None:
        try:
            return Exhaustive(port_to_explore(name))
        except (BuildError, NoCompilerError, PatchError):  # whoever runs models in C was told
            return None

    def survey(program: Program, preemptions: int, steps: int) -> Survey | None:
        if preemptions > PREEMPTIONS_MAX or steps <= 0:
            return Survey(preemptions, why="beyond the bound")
        exhaustive = engine()
        if exhaustive is None:
            return None
        try:
            return exhaustive.explore(
                program, preemptions, lambda so_far: False, TABLE_MAX, steps_at_once=steps
            )
        except BeyondPortError:
            return None

    return survey
