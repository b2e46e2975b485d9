"""Exploring every program of a class, in several processes, in order, so that it can be resumed."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any, Final

from fuzz.overlay import load_model
from fuzz.port.exhaustive import Exhaustive, Survey, port_to_explore
from fuzz.port.library import load_port
from fuzz.port.pair import other_port
from fuzz.port.runner import on_port
from fuzz.text import format_program, parse
from fuzz.vocabulary import Program
from tools.explore import state as states
from tools.explore.program import Engines
from tools.explore.programs import ProgramClass
from tools.explore.verdict import Item, Sides, compare

SEED: Final = 0  # of a sample
CHUNK: Final = 50  # programs that one process takes at a time
_SECONDS: Final = 5.0  # between two checkpoints


@dataclass(frozen=True, slots=True)
class Task:
    """What is explored: every program of a class on two models, up to a bound.

    sample: so many of the programs, drawn at random, instead.
    """

    programs: ProgramClass
    reference: str
    patched: str
    preemptions: int
    bytes_max: int
    reduced: bool = True
    sample: int | None = None

    def __str__(self) -> str:
        how = "" if self.reduced else " unreduced"
        how += f" sample {self.sample}" if self.sample is not None else ""
        return f"{self.programs} {self.reference} {self.patched} {self.preemptions}{how}"

    def count(self) -> int:
        """How many programs are explored."""
        return self.programs.count() if self.sample is None else self.sample

    def ordered(self) -> Iterator[Program]:
        """These, in their order."""
        if self.sample is not None:
            return iter(self.programs.drawn(self.sample, SEED))
        return self.programs.programs()


@dataclass(slots=True)
class Totals:
    """What came of some programs.

    let_in, left_out: preemptions, as of a Survey.  same: programs that the patch cannot make a
    difference to, explored once for both sides.  soon: those in which the reference does all that
    the patched side does within fewer preemptions, and was explored no further.
    seconds: of processor time.  items: the smallest program of each thing found.
    """

    programs: int = 0
    states: int = 0
    met: int = 0
    steps: int = 0
    let_in: int = 0
    left_out: int = 0
    schedules: float = 0.0
    incomplete: int = 0
    same: int = 0
    soon: int = 0
    seconds: float = 0.0
    items: dict[tuple[str, str, str], Item] = field(default_factory=dict)

    def add(self, other: Totals) -> None:
        """Count others in."""
        for name in _numbers():
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for key, item in other.items.items():
            if key not in self.items or item.size < self.items[key].size:
                self.items[key] = item

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        items = [[*key, format_program(item.program)] for key, item in self.items.items()]
        return {**{name: getattr(self, name) for name in _numbers()}, "items": items}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Totals:
        """The same back."""
        items = {(side, rule, site): Item(side, rule, site, parse(text))
                 for side, rule, site, text in data["items"]}  # fmt: skip
        return cls(**{name: data[name] for name in _numbers()}, items=items)


def _numbers() -> tuple[str, ...]:
    """The fields of Totals that are counted up."""
    return tuple(f.name for f in fields(Totals) if f.name != "items")


def engines_for(reference: str, patched: str) -> Engines:
    """Both sides, each with a port of its own.  Raises BuildError, NoCompilerError, PatchError."""
    theirs = load_port(patched)
    ours = other_port(load_port(reference), theirs)
    sides = Sides(on_port(load_model(reference), ours), on_port(load_model(patched), theirs))
    new = port_to_explore(patched)
    old = other_port(port_to_explore(reference), new)
    return Engines(Exhaustive(old), Exhaustive(new), sides)


def explore_one(program: Program, engines: Engines, task: Task) -> Totals:
    """Explore one program on both sides; on one, where the patch never acts.

    The reference is explored bound by bound, as far as it takes to show all that the patched side
    does: a larger bound could add only what the reference alone does.
    """
    began = time.process_time()
    theirs = _survey(engines.patched, program, task, task.preemptions)
    surveys = [theirs]
    bound = min(1, task.preemptions)
    while theirs.acted and (surveys[-1] is theirs or not _shows(surveys[-1], theirs)):
        surveys.append(_survey(engines.reference, program, task, bound))
        if bound == task.preemptions:
            break
        bound += 1
    ours = surveys[-1]
    items = compare(program, engines.sides, ours, theirs)
    totals = Totals(1, incomplete=int(not (ours.complete and theirs.complete)),
                    same=int(ours is theirs),
                    soon=int(ours.preemptions < task.preemptions))  # fmt: skip
    for survey in surveys:
        totals.states += survey.states
        totals.met += survey.met
        totals.steps += survey.steps
        totals.let_in += survey.let_in
        totals.left_out += survey.left_out
        totals.schedules += survey.schedules
    for item in items:
        key = item.side, item.rule, item.site
        if key not in totals.items or item.size < totals.items[key].size:
            totals.items[key] = item
    totals.seconds = time.process_time() - began
    return totals


def _survey(engine: Exhaustive, program: Program, task: Task, bound: int) -> Survey:
    return engine.explore(program, bound, bytes_max=task.bytes_max, reduced=task.reduced)


def _shows(ours: Survey, theirs: Survey) -> bool:
    """Whether one side can do all that the other can."""
    return all(
        old.keys() >= new.keys()
        for old, new in ((ours.outcomes, theirs.outcomes), (ours.rules, theirs.rules))
    )


class _Worker:
    """One process: its engines, and how far it is in the order of programs."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.engines = engines_for(task.reference, task.patched)
        self.programs = task.ordered()
        self.at = 0

    def chunk(self, number: int) -> Totals:
        """Explore the programs of one chunk; chunks come in ascending order."""
        first = number * CHUNK
        totals = Totals()
        for program in islice(self.programs, first - self.at, first - self.at + CHUNK):
            totals.add(explore_one(program, self.engines, self.task))
        self.at = first + CHUNK
        return totals


_worker: _Worker | None = None


def _start(task: Task) -> None:
    global _worker
    _worker = _Worker(task)


def _chunk(number: int) -> Totals:
    assert _worker is not None
    return _worker.chunk(number)


def explore_all(
    task: Task, jobs: int, seconds: float | None, checkpoint: Path | None
) -> Generator[tuple[Totals, bool], None, None]:
    """Explore the class; gives the totals so far after each chunk, and whether that is all.

    Stops after so many seconds.  Raises StateError.
    """
    saved = states.load(checkpoint, str(task)) if checkpoint is not None else {}
    totals = Totals.from_json(saved["totals"]) if saved else Totals()
    chunks = -(-task.count() // CHUNK)
    done, until = int(saved.get("chunks", 0)), time.monotonic() + (seconds or float("inf"))
    kept = time.monotonic()
    yield totals, done == chunks
    with ProcessPoolExecutor(jobs, initializer=_start, initargs=(task,)) as pool:
        pending: list[Future[Totals]] = []
        following = done
        try:
            while done < chunks and time.monotonic() < until:
                while following < chunks and len(pending) < 2 * jobs:
                    pending.append(pool.submit(_chunk, following))
                    following += 1
                totals.add(pending.pop(0).result())
                done += 1
                if checkpoint is not None and time.monotonic() - kept > _SECONDS:
                    _keep(checkpoint, task, done, totals)
                    kept = time.monotonic()
                yield totals, done == chunks
        finally:
            for future in pending:
                future.cancel()
            if checkpoint is not None:
                _keep(checkpoint, task, done, totals)


def _keep(checkpoint: Path, task: Task, done: int, totals: Totals) -> None:
    states.save(checkpoint, str(task), {"chunks": done, "totals": totals.to_json()})
