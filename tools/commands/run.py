"""``gmemdiff run``: verdicts for program files."""

from __future__ import annotations

import json
import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import click

from fuzz.execution import HarnessError
from fuzz.finding import Finding
from fuzz.judge import Judgement, Verdict, judge
from fuzz.overlay import OverlayError
from fuzz.report import agreement, report
from fuzz.text import ProgramError
from tools import exits
from tools.cases import (
    Case,
    Models,
    load_case,
    mismatches,
    point_text,
    program_files,
    stale_error,
    wanted_lines,
)
from tools.commands.options import budget_option, json_option, model_options
from tools.explore.settle import SECONDS, Settler


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line asks for."""

    budget: int
    settler: Settler
    check: bool
    lenient: bool
    reference: str | None
    patched: str | None


@dataclass(slots=True)
class Answer:
    """What came of one file: for people, for programs, for the shell."""

    path: str
    code: int
    told: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    word: str = ""  # for the summary


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE|DIR...")
@model_options
@json_option
@click.option("--check", is_flag=True, help="Compare with each program's expect lines instead.")
@budget_option
@click.option("--settle", "seconds", type=click.FloatRange(min=0), default=SECONDS,
              show_default=True, metavar="SECONDS",
              help="For exploring in C what the search leaves open; 0: leave it open.")  # fmt: skip
@click.option("--lenient", is_flag=True, help="Go on when neither side reaches a preemption.")
def run(
    paths: tuple[str, ...],
    as_json: bool,
    budget: int,
    check: bool,
    seconds: float,
    lenient: bool,
    reference: str | None,
    patched: str | None,
) -> int:
    """Run programs on both models and say what is wrong, if anything.

    Where the search gives up, every schedule within its bound is explored, if there is a C
    compiler.  A folder stands for all *.prog files below it.

    Exit code: 0 nothing found (with --check: all as expected), 1 something found, 2 bad input,
    3 internal error, 5 no program there, 6 only inconclusive.
    """
    options = RunOptions(budget, Settler(seconds), check, lenient, reference, patched)
    models = Models()
    for name in (reference, patched):
        if name is not None:
            models.get(name)  # a wrong option is told once, before anything runs
    files = program_files(paths)
    if not files:
        click.echo(f"no *.prog below {', '.join(paths)}; nothing was run", err=True)
        if as_json:
            click.echo("[]")
        return exits.NOTHING
    answers: list[Answer] = []
    for path in files:
        answer = answer_for(path, models, options, alone=len(files) == 1)
        answers.append(answer)
        for line in answer.errors:
            click.echo(line, err=True)
        if not as_json:
            for line in answer.told:
                click.echo(line)
    if as_json:
        click.echo(json.dumps([a.data for a in answers], indent=2, ensure_ascii=False))
    elif len(answers) > 1:
        words = Counter(answer.word for answer in answers)
        counts = ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
        click.echo(f"{len(answers)} programs: {counts}")
    return exits.worst(answer.code for answer in answers)


def answer_for(path: str, models: Models, options: RunOptions, alone: bool) -> Answer:
    """Run one file; whatever is wrong with it stays with it."""
    try:
        case = load_case(path, models, options.reference, options.patched)
        judgement = judge(case.program, case.reference, case.patched, options.budget)
        judgement = options.settler.settle(judgement, case.reference, case.patched)
        stale = stale_error(path, case.program, judgement.stale)
        if stale is not None and not options.lenient:
            raise stale
        return _judged(case, judgement, options, alone)
    except (ProgramError, OverlayError) as error:
        line, code, word = str(error), exits.BAD_INPUT, "bad input"
    except HarnessError as error:
        line, code, word = f"{path}: internal error: {error}", exits.INTERNAL, "internal error"
    except Exception as error:
        line = f"{path}: internal error: {error!r}\n{traceback.format_exc()}"
        code, word = exits.INTERNAL, "internal error"
    return Answer(path, code, [], [line], {"path": path, "error": line}, word)


def _judged(case: Case, judgement: Judgement, options: RunOptions, alone: bool) -> Answer:
    """Words, data and exit code of a judged program."""
    path, verdict = case.path, judgement.verdict
    finding = None
    if verdict >= Verdict.DIVERGE:
        finding = Finding.of(judgement, case.reference, case.patched)
    wrong = mismatches(judgement)
    if options.check:
        code = exits.FINDING if wrong else exits.CLEAN
        word = "not as expected" if wrong else "as expected"
    elif finding is not None or judgement.expectation:
        code, word = exits.FINDING, "finding" if finding is not None else "unexpected result"
    elif verdict is Verdict.INCONCLUSIVE:
        code, word = exits.INCONCLUSIVE, "inconclusive"
    else:
        code, word = exits.CLEAN, "agree"
    told: list[str] = []
    if options.check and not wrong:
        told.append(f"{path}: as expected: {', '.join(judgement.lines)}")
    elif finding is not None and (alone or options.check):
        told += report(finding, path).splitlines()
    elif finding is not None:
        told.append(f"{path}: {finding.headline}, finding {finding.fingerprint}")
    else:
        told.append(agreement(path, judgement))
    if options.check:
        told += [f"{path}: {text}" for text in wrong]
    else:
        told += [f"{path}: unexpected result: {text}" for text in judgement.expectation]
    told += [f"{path}: neither side reaches {point_text(p)}" for p in judgement.stale]
    told += [f"{path}: drift: {text}" for text in drift_lines(judgement)]
    data: dict[str, Any] = {
        "path": path,
        "verdict": verdict.name,
        "lines": list(judgement.lines),
        "expected": list(wanted_lines(judgement.program)),
        "as_expected": not wrong,
        "unexpected_results": judgement.expectation,
        "evidence": judgement.evidence,
        "benefit": {name: list(pair) for name, pair in sorted(judgement.benefit.items())},
        "drift": [point_text(p) for p in judgement.drift],
        "stale": [point_text(p) for p in judgement.stale],
        "finding": finding.to_json() if finding is not None else None,
    }
    return Answer(path, code, told, [], data, word)


def drift_lines(judgement: Judgement) -> list[str]:
    """Preemptions that one side alone reached, in words."""
    taken = judgement.reference.taken
    return [
        f"only the {'reference' if p in taken else 'patched side'} reaches {point_text(p)}"
        for p in judgement.drift
    ]
