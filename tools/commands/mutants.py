"""``gmemdiff mutants``: is every seeded mistake still found, by what, and how fast?"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from fuzz.mutants import Mutant, all_mutants
from fuzz.port.compiler import find_compiler
from tools import exits
from tools.commands.fuzzing import usable_cores
from tools.commands.options import json_option
from tools.mutants.matrix import Row, Task, build_ports, by_rule, run_all, table
from tools.mutants.outcome import Outcome

SECONDS_DEFAULT: Final = 600.0


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--engine", type=click.Choice(["c", "python"]), default="c", show_default=True)
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True,
              help="Hunts of each mutant.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
              help="The first seed.")  # fmt: skip
@click.option("--max-executions", type=click.IntRange(min=1), metavar="N",
              help="Budget of a hunt, instead of the mutant's own.")  # fmt: skip
@click.option("--max-time", type=click.FloatRange(min=0, min_open=True), default=SECONDS_DEFAULT,
              show_default=True, metavar="SECONDS",
              help="Stop a hunt after so long.")  # fmt: skip
@click.option("--everywhere", is_flag=True,
              help="Hunt on all profiles, not on the one where the mistake shows.")  # fmt: skip
@click.option("--quick", is_flag=True,
              help="Leave out those with a larger budget than others.")  # fmt: skip
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Keep the programs that show the mistakes.")  # fmt: skip
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=usable_cores,
              show_default="processors")  # fmt: skip
@click.option("--list", "only_list", is_flag=True, help="List the mutants, and hunt nothing.")
@json_option
def mutants(
    names: tuple[str, ...],
    engine: str,
    seeds: int,
    seed: int,
    max_executions: int | None,
    max_time: float,
    everywhere: bool,
    quick: bool,
    keep: Path | None,
    jobs: int,
    only_list: bool,
    as_json: bool,
) -> int:
    """Hunt seeded mistakes: fuzz each mutant from nothing until it is killed or its budget is up.

    A mutant is a model with one mistake (patched/mutants/, patched/c/mutants/).  It is compared
    with the model that it is a mistake in, and killed when it alone breaks a rule or differs, after
    the same search that settles findings.  Without a NAME, all are hunted.  Told are executions and
    processor seconds until then, median and spread over the seeds, and the rules that showed it.

    Exit code: 0 all killed, 1 a mutant was not killed within its budget, 2 bad input, 3 a hunt
    failed, 4 no C compiler.
    """
    chosen = [m for m in _chosen(names) if not (quick and m.demanding)]
    if not chosen:
        click.echo("no mutant is left to hunt")
        return exits.NOTHING
    if only_list:
        _list(chosen, as_json)
        return exits.CLEAN
    if engine == "c":
        find_compiler()
        build_ports(chosen, jobs)
    tasks = [
        Task(mutant, engine, seed + n, max_executions or mutant.executions, max_time, everywhere)
        for mutant in chosen
        for n in range(seeds)
    ]
    rows = {mutant.name: Row(mutant) for mutant in chosen}
    for task, outcome in run_all(tasks, jobs):
        rows[task.mutant.name].outcomes.append(outcome)
        click.echo(_progress(outcome), err=True)
        if keep is not None and outcome.killed:
            keep.mkdir(parents=True, exist_ok=True)
            file = keep / f"{outcome.name}.{outcome.seed}.prog"
            file.write_text(outcome.program, encoding="utf-8")
    return _tell(list(rows.values()), as_json)


def _chosen(names: Sequence[str]) -> tuple[Mutant, ...]:
    """The mutants that were asked for.  Raises BadParameter."""
    known = {mutant.name: mutant for mutant in all_mutants()}
    for name in names:
        if name.removeprefix("mutants/") not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "see gmemdiff mutants --list"
            raise click.BadParameter(f"there is no mutant {name!r}; {hint}")
    wanted = {name.removeprefix("mutants/") for name in names} or set(known)
    return tuple(mutant for name, mutant in known.items() if name in wanted)


def _list(chosen: Sequence[Mutant], as_json: bool) -> None:
    if as_json:
        told = [{**asdict(m), "profile": str(m.profile), "base": m.base} for m in chosen]
        click.echo(json.dumps(told, indent=2))
        return
    width = max(len(mutant.name) for mutant in chosen)
    for mutant in chosen:
        hard = f"  [hard: {mutant.hard}]" if mutant.hard else ""
        click.echo(f"{mutant.group:<10}  {mutant.name:<{width}}  {mutant.summary}{hard}")


def _progress(outcome: Outcome) -> str:
    what = outcome.rules[0] if outcome.killed else "not killed"
    if outcome.error:
        what = outcome.error.splitlines()[0]
    elif outcome.stopped:
        what = "stopped by --max-time"
    return (
        f"{outcome.name} seed {outcome.seed}: {what}, {outcome.executions} executions, "
        f"{outcome.seconds:.1f} s"
    )


def _tell(rows: Sequence[Row], as_json: bool) -> int:
    outcomes = [outcome for row in rows for outcome in row.outcomes]
    failed = [outcome for outcome in outcomes if outcome.error]
    alive = [row for row in rows if row.survived]
    if as_json:
        click.echo(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    else:
        for line in (*table(rows), "", *by_rule(rows), ""):
            click.echo(line)
        for outcome in failed:
            click.echo(f"{outcome.name} seed {outcome.seed}: {outcome.error}")
        for row in alive:
            stopped = any(outcome.stopped for outcome in row.outcomes)
            budget = "before --max-time" if stopped else "within the budget of executions"
            click.echo(f"{row.mutant.name}: not killed in every hunt {budget}")
        click.echo(f"{len(rows) - len(alive)} of {len(rows)} mutants killed in every hunt")
    if failed:
        return exits.INTERNAL
    return exits.FINDING if alive else exits.CLEAN
