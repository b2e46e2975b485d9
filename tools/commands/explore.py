"""``gmemdiff explore``: every schedule within a bound, of one program or of all small ones."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import click

from fuzz.judge import PATCHED_ONLY
from fuzz.port.compiler import NoCompilerError, find_compiler
from fuzz.port.exhaustive import PREEMPTIONS_MAX, Survey
from fuzz.search import PREEMPTIONS_MIN
from fuzz.text import format_program
from fuzz.vocabulary import Program
from reference.features import Profile
from tools import exits
from tools.cases import Models, load_case
from tools.commands.options import json_option, model_options, profile
from tools.explore.many import Task, Totals, engines_for, explore_all
from tools.explore.program import NAMES
from tools.explore.program import explore as explore_program
from tools.explore.programs import ACTORS, OPS_MAX, SLOTS_MAX, ProgramClass, usable_kinds
from tools.explore.verdict import Item, compare, only_reference

_CLASS: Final = re.compile(r"(ops|slots|actors)=(\d+)")
_MIB: Final = 1 << 20


@click.command()
@click.argument("path", metavar="[FILE]", required=False)
@click.argument("words", metavar="[ops=N slots=M [actors=A]]", nargs=-1)
@click.option("--all-programs", is_flag=True,
              help="Every program of up to ops=N over slots=M, of at least A actors.")  # fmt: skip
@click.option(
    "-k", "--preemptions", type=click.IntRange(0, PREEMPTIONS_MAX),
    help="The bound.  Default: 2, or as many as the program's own schedule has.",
)  # fmt: skip
@click.option("--profile", "wanted", type=profile, metavar="'KERNEL MMU'",
              help="Of all programs.  Default: v7.2 x86-tdp.")  # fmt: skip
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=os.cpu_count() or 1,
              show_default="processors", help="Processes, for all programs.")  # fmt: skip
@click.option("--max-total-time", "seconds", type=click.FloatRange(min=0),
              help="Stop after so many seconds.")  # fmt: skip
@click.option("--memory", "mebibytes", type=click.IntRange(min=1), default=1024,
              show_default=True, help="MiB for the states of a side, in each process.")  # fmt: skip
@click.option("--sample", type=click.IntRange(min=1), metavar="N",
              help="Of all programs, N drawn at random; tells how long all take.")  # fmt: skip
@click.option("--no-reduction", is_flag=True,
              help="Also run schedules that are known to show nothing new.")  # fmt: skip
@click.option("--checkpoint", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Keep what is done there, and go on from it.")  # fmt: skip
@click.option("-o", "--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Write each counterexample there.")  # fmt: skip
@model_options
@json_option
def explore(
    path: str | None, words: tuple[str, ...], all_programs: bool, preemptions: int | None,
    wanted: Profile | None, jobs: int, seconds: float | None, mebibytes: int, no_reduction: bool,
    sample: int | None,
    checkpoint: Path | None, out: Path | None, reference: str | None, patched: str | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Run every schedule of a program with at most K preemptions, on both models, in C.

    What is not found then does not happen within the bound: a verdict that was inconclusive is
    settled.  With --all-programs, the same for every program of a class, such as ops=3 slots=2.
    The smallest counterexample is printed; gmemdiff run replays it.

    Exit code: 0 nothing found, 1 something found, 2 bad input, 4 no C compiler, 6 nothing found
    but not all was explored.
    """
    try:
        find_compiler()
    except NoCompilerError as error:
        click.echo(f"skipped: {error}", err=True)
        return exits.SKIPPED
    asked = _Asked(seconds, mebibytes * _MIB, checkpoint, out, as_json, not no_reduction, sample)
    if all_programs:
        ops, slots, actors = class_of([word for word in (path, *words) if word is not None])
        chosen = wanted or Profile("v7.2", "x86-tdp")
        bound = PREEMPTIONS_MIN if preemptions is None else preemptions
        programs = ProgramClass(chosen, ops, slots, actors=actors)
        names = reference or "stock", patched or "seed"
        return _all(programs, names, bound, jobs, asked)
    if path is None or words or wanted is not None or sample is not None:
        raise click.UsageError(
            "give one FILE; or --all-programs, ops=N and slots=M, with --profile if need be"
        )
    return _one(path, reference, patched, preemptions, asked)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What holds for one program and for many."""

    seconds: float | None
    bytes_max: int
    checkpoint: Path | None
    out: Path | None
    as_json: bool
    reduced: bool
    sample: int | None


def class_of(words: list[str]) -> tuple[int, int, int]:
    """Read ``ops=3 slots=2 actors=1``; actors may be left out."""
    found = {}
    for word in words:
        match = _CLASS.fullmatch(word)
        if match is None or match[1] in found:
            raise click.UsageError(f"'{word}' is no part of a class; write for example "
                                   "--all-programs ops=3 slots=2")  # fmt: skip
        found[match[1]] = int(match[2])
    found.setdefault("actors", 1)
    for name, most in (("ops", OPS_MAX), ("slots", SLOTS_MAX), ("actors", len(ACTORS))):
        if not 1 <= found.get(name, 0) <= most:
            raise click.UsageError(f"--all-programs takes {name}=N with N within 1..{most}")
    return found["ops"], found["slots"], found["actors"]


def _one(
    path: str, reference: str | None, patched: str | None, preemptions: int | None, asked: _Asked
) -> int:
    case = load_case(path, Models(), reference, patched)
    program = replace(case.program, schedule=(), expect=())
    bound = preemptions
    if bound is None:
        bound = min(max(PREEMPTIONS_MIN, len(case.program.schedule)), PREEMPTIONS_MAX)
    engines = engines_for(case.reference.name, case.patched.name)
    began, processor = time.monotonic(), time.process_time()
    shown = 0.0

    def told(side: str, survey: Survey) -> bool:
        nonlocal shown
        now = time.monotonic()
        if now - shown > 1:
            shown = now
            click.echo(f"{path}: {side}, bound {survey.preemptions}: {_counts(survey)}", err=True)
        return asked.seconds is None or now - began < asked.seconds

    surveys = explore_program(
        program, engines, bound, told, asked.checkpoint, asked.bytes_max, asked.reduced
    )
    took = time.process_time() - processor
    ours, theirs = (surveys[name] for name in NAMES)
    items = compare(program, engines.sides, ours, theirs)
    complete = ours.complete and theirs.complete
    written = _write(items, asked.out)
    if asked.as_json:
        sides = {name: {**_numbers(s), "why": s.why} for name, s in surveys.items()}
        data = {"path": path, "bound": bound, "complete": complete, "seconds": round(took, 3),
                "sides": sides, "found": [_data(item) for item in items]}  # fmt: skip
        click.echo(json.dumps(data, indent=2))
    else:
        for name, survey in surveys.items():
            state = "complete" if survey.complete else f"NOT complete: {survey.why}"
            click.echo(f"{name + ':':<11}up to {survey.preemptions} preemptions, {state}; "
                       f"{_counts(survey)}")  # fmt: skip
        click.echo(f"{'outcomes:':<11}{len(ours.outcomes)} on the reference, "
                   f"{len(theirs.outcomes)} on the patched side; "
                   f"{only_reference(ours, theirs)} on the reference only")  # fmt: skip
        met = ours.met + theirs.met
        click.echo(f"{'speed:':<11}{took:.2f} s of processor time, {met / max(took, 1e-9):,.0f} "
                   f"states a second")  # fmt: skip
        _tell(items, written, complete, f"within {bound} preemptions")
    return _code(items, complete)


def _all(
    programs: ProgramClass, names: tuple[str, str], bound: int, jobs: int, asked: _Asked
) -> int:
    for name in names:
        Models().get(name)  # a wrong option is told once, before anything runs
    kinds, refused = usable_kinds(programs.profile)
    programs = replace(programs, kinds=kinds)
    task = Task(programs, *names, bound, asked.bytes_max, asked.reduced, asked.sample)
    count = programs.count()
    click.echo(f"class:     {programs}: {count:,} programs, up to {bound} preemptions", err=True)
    for kind, why in refused.items():
        click.echo(f"left out:  slots of kind {kind}: {why}", err=True)
    totals, whole, shown = Totals(), False, 0.0
    began = time.monotonic()
    for totals, all_of_it in explore_all(task, jobs, asked.seconds, asked.checkpoint):
        whole = all_of_it and asked.sample is None
        if time.monotonic() - shown > 2:
            shown = time.monotonic()
            click.echo(f"{totals.programs:,} of {count:,} programs, {totals.states:,} states, "
                       f"{len(totals.items)} things found", err=True)  # fmt: skip
    items = sorted(totals.items.values(), key=lambda i: (i.side != PATCHED_ONLY, i.size, str(i)))
    complete = whole and not totals.incomplete
    written = _write(items, asked.out)
    if asked.as_json:
        data = totals.to_json() | {"class": str(programs), "count": count, "bound": bound,
                                   "complete": complete,
                                   "items": [_data(item) for item in items]}  # fmt: skip
        click.echo(json.dumps(data, indent=2))
        return _code(items, complete)
    click.echo(f"programs:  {totals.programs:,} of {count:,}, {totals.incomplete:,} of them not "
               f"to the end; {totals.same:,} in which the patch never acts, {totals.soon:,} in "
               "which the reference does all the same within fewer preemptions")  # fmt: skip
    click.echo(f"explored:  {totals.states:,} states, met {totals.met:,} times; {totals.steps:,} "
               f"steps; {_reduction(totals)}; for {_at_least(totals)}{totals.schedules:,.0f} "
               "schedules")  # fmt: skip
    rate, share = totals.met / max(totals.seconds, 1e-9), totals.programs / max(count, 1)
    click.echo(f"speed:     {totals.seconds:.1f} s of processor time in "
               f"{time.monotonic() - began:.1f} s; {rate:,.0f} states a second")  # fmt: skip
    if not whole and share:
        hours = totals.seconds / share / 3600
        how = "at least " if asked.sample is None else "about "
        more = "; larger programs come last, and take longer" if asked.sample is None else ""
        click.echo(f"left:      at this rate the class takes {how}{hours:.1f} h of processor "
                   f"time{more}")  # fmt: skip
    within = f"in {totals.programs:,} programs, within {bound} preemptions"
    _tell(items, written, complete, within)
    return _code(items, complete)


def _counts(survey: Survey) -> str:
    stands = ""
    if survey.complete:
        share = survey.schedules / max(survey.runs, 1)
        least = "at least " if survey.skipped else _at_least(survey)
        stands = (f"; {_reduction(survey)}; for {least}{survey.schedules:,.0f} schedules, "
                  f"{share:,.1f} for each run followed to its end")  # fmt: skip
    return f"{survey.states:,} states, met {survey.met:,} times, {survey.steps:,} steps{stands}"


def _reduction(counted: Survey | Totals) -> str:
    preemptions = counted.let_in + counted.left_out
    return f"{counted.left_out:,} of {preemptions:,} preemptions left out"


def _at_least(counted: Survey | Totals) -> str:
    """What the schedules are that were left out with their preemptions, nobody counts."""
    return "at least " if counted.left_out else ""


def _tell(items: list[Item], written: list[Path], complete: bool, within: str) -> None:
    """What was found, and the smallest counterexample; or that there is none, and how sure."""
    for at, item in enumerate(items):
        where = f"   {written[at]}" if written else ""
        ops, preempted = item.size
        click.echo(f"{item}: {ops} ops, {preempted} preemptions, "
                   f"finding {item.fingerprint}{where}")  # fmt: skip
    if not items:
        sure = "no rule is broken, and nothing differs"
        if not complete:
            sure = "no broken rule and no difference was seen, but not all was explored"
        click.echo(f"result:    {within}: {sure}")
        return
    if not complete:
        click.echo(f"result:    {within}: not all was explored; there may be more")
    click.echo("\nthe smallest counterexample:\n")
    click.echo(format_program(titled(items[0])), nl=False)


def titled(item: Item) -> Program:
    """A counterexample as a program of its own, with what it shows on top."""
    return replace(item.program, title=(f"{item} (gmemdiff explore)",))


def _write(items: list[Item], folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for item in items:
        path = folder / f"{item.rule}-{item.side}-{item.fingerprint}.prog"
        path.write_text(format_program(titled(item)), encoding="utf-8")
        paths.append(path)
    return paths


def _numbers(survey: Survey) -> dict[str, Any]:
    numbers = asdict(survey)
    numbers.pop("rules")
    numbers["outcomes"] = len(survey.outcomes)
    return numbers


def _data(item: Item) -> dict[str, Any]:
    ops, preempted = item.size
    return {"side": item.side, "rule": item.rule, "site": item.site, "ops": ops,
            "preemptions": preempted, "fingerprint": item.fingerprint,
            "program": format_program(item.program)}  # fmt: skip


def _code(items: list[Item], complete: bool) -> int:
    if items:
        return exits.FINDING
    return exits.CLEAN if complete else exits.INCONCLUSIVE
