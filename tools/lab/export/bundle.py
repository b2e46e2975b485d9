"""The bundle that ``gmemdiff export`` writes: everything that a mail to the list needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fuzz.execution import HarnessError
from fuzz.judge import judge
from fuzz.report import report
from fuzz.rules import EXPLAINED
from fuzz.text import format_program
from fuzz.timeline import timeline
from tools.commands.options import version
from tools.commands.show import WIDTH, drawn
from tools.lab.confirmation import Confirmation
from tools.lab.export.plan import Plan, make_plan
from tools.lab.export.render import environment, expected_output, source
from tools.lab.export.subject import Subject

STOCK_OUTPUT: Final = "expected-stock.txt"
PATCHED_OUTPUT: Final = "expected-patched.txt"
SCRIPT: Final = "run.sh"
MAIL: Final = "report-draft.txt"
TIMELINE: Final = "timeline.txt"
FINDING: Final = "finding.txt"
PROGRAM: Final = "program.prog"
NAME_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class Reproducer:
    """A finding as C.  name: of the file and program, without suffix."""

    subject: Subject
    plan: Plan
    name: str
    source: str

    @property
    def headline(self) -> str:
        """What the C program calls itself."""
        return headline_of(self.subject)


def headline_of(subject: Subject) -> str:
    """``gmemdiff 69a427fe: patched-only stale-spte at gmem-only prefetched leaf``."""
    finding = subject.finding
    kind = finding.kind
    return f"gmemdiff {finding.fingerprint}: {kind.side} {kind.rule} at {kind.site}"


def name_of(subject: Subject) -> str:
    """A file name that says what is broken: ``stale_spte_gmem_only_prefetched_leaf``."""
    kind = subject.finding.kind
    words = re.sub(r"[^a-z0-9]+", "_", f"{kind.rule} {kind.site}".lower()).strip("_")
    return words[:NAME_MAX].rstrip("_")


def reproducer_of(subject: Subject) -> Reproducer:
    """The C of a finding.  Raises NotExpressibleError."""
    finding = subject.finding
    plan = make_plan(finding.program, finding.kind, subject.reference, subject.patched)
    name = name_of(subject)
    text = source(plan, headline_of(subject), finding.broken, name)
    return Reproducer(subject, plan, name, text)


def files_of(made: Reproducer, confirmation: Confirmation | None) -> dict[str, str]:
    """The bundle's files by name."""
    finding = made.subject.finding
    templates = environment()
    context = {
        "name": made.name,
        "made": made,
        "finding": finding,
        "plan": made.plan,
        "rule": EXPLAINED.get(finding.kind.rule),
        "program": format_program(finding.program),
        "profile": finding.program.profile,
        "confirmation": confirmation,
        "expected": [expected_output(made.plan, made.headline, side) for side in (0, 1)],
        "version": version(),
        "stock_output": STOCK_OUTPUT,
        "patched_output": PATCHED_OUTPUT,
    }
    files = {
        f"{made.name}.c": made.source,
        SCRIPT: templates.get_template("run.sh.j2").render(context),
        STOCK_OUTPUT: expected_output(made.plan, made.headline, 0),
        PATCHED_OUTPUT: expected_output(made.plan, made.headline, 1),
        TIMELINE: _timeline(made.subject),
        FINDING: report(finding, PROGRAM) + "\n",
        MAIL: templates.get_template("report-draft.txt.j2").render(context),
        PROGRAM: format_program(finding.program),
    }
    for run in confirmation.runs if confirmation is not None else ():
        side = "patched" if run.patched else "stock"
        files[f"observed-{run.release}-{side}.txt"] = "".join(f"{line}\n" for line in run.output)
    return files


def _timeline(subject: Subject) -> str:
    """The two-sided timeline, as ``gmemdiff show`` draws it."""
    program = subject.finding.program
    try:
        lines = timeline(program, subject.reference, subject.patched)
        judgement = judge(program, subject.reference, subject.patched)
    except HarnessError as error:
        return f"{error}\n"
    return drawn(program, lines, judgement, WIDTH, terminal=False)


def write_bundle(made: Reproducer, confirmation: Confirmation | None, directory: Path) -> None:
    """Write all files; the directory is made.  Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files_of(made, confirmation).items():
        path = directory / name
        path.write_text(text, encoding="utf-8")
        if name == SCRIPT:
            path.chmod(0o755)
