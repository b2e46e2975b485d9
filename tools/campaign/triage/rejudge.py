"""Judge the findings of a campaign again: after a change of the model, do they still hold?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fuzz.execution import HarnessError
from fuzz.finding import Finding
from fuzz.judge import judge
from fuzz.rules import HANG
from fuzz.shrink.predicates import settled_kinds
from tools.campaign.layout import Layout
from tools.campaign.settings import Settings
from tools.campaign.triage.shelf import kept_findings
from tools.campaign.triage.triager import model_for_findings
from tools.cases import Models


@dataclass(frozen=True, slots=True)
class Rejudged:
    """One finding, judged again."""

    folder: Path
    finding: Finding
    holds: bool
    words: str  # what the program shows now, for people
    failed: bool = False  # our own code failed: nothing is known


def rejudge(layout: Layout, settings: Settings, budget: int | None = None) -> Iterator[Rejudged]:
    """Judge every finding of a campaign again, on the campaign's models, in order of their names.

    Hangs are not run: they would not end.
    """
    models = Models()
    names = (settings.reference, settings.patched)
    reference, patched = (model_for_findings(models, layout.root, name) for name in names)
    for folder, finding in kept_findings(layout):
        if finding.kind.rule == HANG.slug:
            yield Rejudged(folder, finding, True, "a hang; not run again")
            continue
        try:
            again = judge(finding.program, reference, patched, budget or settings.budget)
        except HarnessError as error:
            yield Rejudged(folder, finding, False, f"internal error: {error}", failed=True)
            continue
        holds = finding.kind in settled_kinds(again)
        words = finding.headline if holds else again.headline
        yield Rejudged(folder, finding, holds, words)
