"""Every schedule of a program with at most K preemptions on one side, in C.

fuzz/c/exhaustive.c does the work: depth first, from kept states, no state twice, and without the
preemptions that can be told to show nothing.  It needs a build of its own.  What comes back is
what can be broken and reached, each with a schedule of fewest preemptions, which any run of the
program repeats.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from fuzz.execution import HarnessError
from fuzz.port.build import Options
from fuzz.port.encode import BeyondPortError
from fuzz.port.library import Port, load_port
from fuzz.port.pair import Point
from fuzz.vocabulary import Preemption, Program

PREEMPTIONS_MAX: Final = 15  # the limits of fuzz/c
SITE_MAX: Final = 120
STEPS_AT_ONCE: Final = 4_000_000  # between two looks at whether to go on; seconds at most
BYTES_MAX: Final = 1 << 30  # of the table of states, on each side
_RUNNING, _COMPLETE, _NO_MEMORY, _TOO_MANY, _FAILED = range(5)
_WHY: Final = {
    _RUNNING: "stopped early",
    _COMPLETE: "",
    _NO_MEMORY: "the memory for states is used up",
    _TOO_MANY: "more outcomes than are told apart",
}
_ENDS: Final = ("finished", "deadlock", "livelock", "step budget used up")


class _Witness(ctypes.Structure):
    _fields_ = [("nr_points", ctypes.c_uint32), ("points", Point * PREEMPTIONS_MAX)]


class _Breakable(ctypes.Structure):
    _fields_ = [
        ("rule", ctypes.c_char_p),
        ("site", ctypes.c_char * SITE_MAX),
        ("witness", _Witness),
    ]


class _Reachable(ctypes.Structure):
    _fields_ = [
        ("key", ctypes.c_uint64),
        ("final", ctypes.c_uint64),
        ("broken", ctypes.c_uint64),
        ("end", ctypes.c_uint32),
        ("steps", ctypes.c_uint32),
        ("witness", _Witness),
    ]


class _Exhausted(ctypes.Structure):
    _fields_ = [
        ("progress", ctypes.c_uint32),
        ("preemptions", ctypes.c_uint32),
        ("acted", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
        *((name, ctypes.c_uint64)
          for name in ("states", "met", "steps", "runs", "budget_ends", "let_in", "left_out",
                       "units", "table_bytes")),
        ("schedules", ctypes.c_double),
        ("nr_breakable", ctypes.c_uint32),
        ("nr_reachable", ctypes.c_uint32),
        ("breakable", ctypes.POINTER(_Breakable)),
        ("reachable", ctypes.POINTER(_Reachable)),
        ("error", ctypes.c_char_p),
    ]  # fmt: skip


Schedule = tuple[Preemption, ...]
Rule = tuple[str, str]  # its name, and the site


@dataclass(frozen=True, slots=True)
class Outcome:
    """One way in which a program can end, told apart by all that it shows.

    key: of everything; the same on both sides for the same outcome.  final: of memslots, caches
    and memory alone.  broken: 0 when no rule is.  schedule: with the fewest preemptions.
    """

    key: int
    final: int
    broken: int
    end: str
    schedule: Schedule


@dataclass(slots=True)
class Survey:
    """What exploring one side came to, so far or for good.

    complete: every schedule of up to `preemptions` was covered; otherwise `why` not.
    states: told apart.  met: come to, again or not.  steps: executed.  runs: followed to an end.
    let_in: preemptions that were tried.  left_out: those that were not, by the reduction.
    schedules: that all this stands for, each run plainly; 0 while not complete.  It is a lower
    bound where something was left out, or `skipped` first preemptions were left to an earlier
    session.  acted: the model's patch may have made a difference; if not, the stock port would
    have done just the same.
    """

    preemptions: int
    complete: bool = False
    why: str = ""
    states: int = 0
    met: int = 0
    steps: int = 0
    runs: int = 0
    budget_ends: int = 0
    let_in: int = 0
    left_out: int = 0
    units: int = 0
    table_bytes: int = 0
    schedules: float = 0.0
    skipped: int = 0
    acted: bool = True
    rules: dict[Rule, Schedule] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def add(self, other: Survey) -> None:
        """Join what an earlier, interrupted session found within the same bound."""
        for rule, schedule in other.rules.items():
            old = self.rules.get(rule)
            if old is None or len(schedule) < len(old):
                self.rules[rule] = schedule
        for key, outcome in other.outcomes.items():
            known = self.outcomes.get(key)
            if known is None or len(outcome.schedule) < len(known.schedule):
                self.outcomes[key] = outcome
        for name in ("states", "met", "steps", "runs", "budget_ends", "let_in", "left_out"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.skipped = max(self.skipped, other.units)


GoOn = Callable[[Survey], bool]


def port_to_explore(model: str) -> Port:
    """The port of a model, in a build that can be explored.  Raises as load_port() does."""
    return load_port(model, Options(explored=True))


class Exhaustive:
    """Explores programs on one port of port_to_explore(); a port does one thing at a time."""

    def __init__(self, port: Port) -> None:
        self.port = port
        lib = port.library
        lib.gmemdiff_exhaust_begin.restype = ctypes.c_char_p
        lib.gmemdiff_exhaust_begin.argtypes = [
            ctypes.c_uint32, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_bool,
        ]  # fmt: skip
        lib.gmemdiff_exhaust.restype = ctypes.POINTER(_Exhausted)
        lib.gmemdiff_exhaust.argtypes = [ctypes.c_uint64]
        self._labels = list(port.labels)

    def explore(
        self,
        program: Program,
        preemptions: int,
        go_on: GoOn | None = None,
        bytes_max: int = BYTES_MAX,
        units: int = 0,
        steps_at_once: int = STEPS_AT_ONCE,
        reduced: bool = True,
    ) -> Survey:
        """Explore a program's schedules; its own is not looked at.

        go_on: asked now and then with the totals so far.  units: of an earlier Survey, to leave
        out what it had done.  reduced: leave out preemptions that show nothing.  Raises
        BeyondPortError, HarnessError.
        """
        self.port.load(program)
        lib = self.port.library
        wrong: bytes | None = lib.gmemdiff_exhaust_begin(preemptions, bytes_max, units, reduced)
        if wrong is not None:
            raise BeyondPortError(wrong.decode())
        while True:
            result = lib.gmemdiff_exhaust(steps_at_once).contents
            if result.progress == _FAILED:
                raise HarnessError(f"the C port failed: {result.error.decode()}")
            running = result.progress == _RUNNING
            if not running:
                break
            if go_on is not None and not go_on(self._survey(program, result, units)):
                break
        return self._survey(program, result, units)

    def _survey(self, program: Program, result: _Exhausted, skipped: int) -> Survey:
        survey = Survey(
            result.preemptions, result.progress == _COMPLETE, _WHY[result.progress],
            result.states, result.met, result.steps, result.runs, result.budget_ends,
            result.let_in, result.left_out, result.units, result.table_bytes, result.schedules,
            skipped, bool(result.acted),
        )  # fmt: skip
        if survey.complete and survey.budget_ends:
            survey.complete, survey.why = False, "some runs used up their steps"
        for b in result.breakable[: result.nr_breakable]:
            rule = b.rule.decode(), b.site.decode()
            survey.rules[rule] = self._schedule(program, b.witness)
        for r in result.reachable[: result.nr_reachable]:
            schedule = self._schedule(program, r.witness)
            survey.outcomes[r.key] = Outcome(r.key, r.final, r.broken, _ENDS[r.end], schedule)
        return survey

    def _schedule(self, program: Program, witness: _Witness) -> Schedule:
        actors = program.actors
        return tuple(
            Preemption(
                actors[p.actor].name, p.op, self._labels[p.label], p.occurrence, actors[p.to].name
            )
            for p in witness.points[: witness.nr_points]
        )
