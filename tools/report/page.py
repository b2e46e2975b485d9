"""The HTML report: one file that needs nothing beside itself, now or in ten years.

Its content security policy forbids every network access, and of scripts allows the one below
templates/ by its hash; so a program's text cannot become code, whatever a hostile corpus holds.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup, escape

from fuzz.execution import HarnessError
from fuzz.finding import Finding
from fuzz.folder import PROGRAM
from fuzz.overlay import FILE_SUFFIXES, Model, OverlayError
from fuzz.report import SIDES, benefit_text, entries, replay
from fuzz.rules import EXPLAINED, HANG
from fuzz.text import format_program
from fuzz.timeline import PATCHED, REFERENCE, timeline
from tools.campaign.views.words import duration
from tools.cases import Models
from tools.report import lanes, wording
from tools.report.curves import Curve, curves
from tools.report.gather import Campaign, Entry
from tools.report.sources import Sources
from tools.report.windows import Window, windows

TEMPLATES: Final = Path(__file__).parent / "templates"
ROWS_MAX: Final = 12_000  # of all timelines of a page together
ROWS_EACH_MIN: Final = 40
OPEN_MAX: Final = 12  # findings whose timeline is unfolded from the start
# Facts of a report that the page shows in a place of their own.
ELSEWHERE: Final = ("matters", "rule", "side", "program", "needed", "shows on")


@dataclass(frozen=True, slots=True)
class Story:
    """One finding, ready to be written down."""

    entry: Entry
    finding: Finding
    rule: str  # what holds otherwise
    claim: str
    matters: str
    side: str
    facts: tuple[tuple[str, str], ...]
    size: tuple[str, ...]
    replay: tuple[str, ...]
    program: str
    drawing: lanes.Drawing | None
    undrawn: str  # why there is no drawing
    unfolded: bool


@dataclass(frozen=True, slots=True)
class Page:
    """All that the template writes."""

    campaign: Campaign
    version: str
    models: tuple[tuple[str, str, str], ...]  # side, name, summary
    stories: tuple[Story, ...]
    broken: tuple[Entry, ...]
    curves: tuple[Curve, ...]
    windows: tuple[Window, ...]
    sources: Sources | None
    benefit: str


def make_page(
    campaign: Campaign, known_windows: Mapping[str, str], sources: Sources | None, version: str
) -> Page:
    """Everything of a page, timelines included, which takes a run of every finding."""
    models = Models()
    found = campaign.findings
    rows = max(ROWS_EACH_MIN, min(lanes.DRAWN_MAX, ROWS_MAX // max(1, len(found))))
    settings = campaign.settings
    named = []
    for side, name in ((REFERENCE, settings.reference), (PATCHED, settings.patched)):
        named.append((side, name, _summary(models, name, campaign)))
    totals = campaign.totals
    benefit = {name: (pair[0], pair[1]) for name, pair in totals.benefit.items()}
    return Page(
        campaign=campaign,
        version=version,
        models=tuple(named),
        stories=tuple(_story(e, campaign, models, rows, at) for at, e in enumerate(found)),
        broken=tuple(e for e in campaign.entries if e.broken),
        curves=tuple(curves(campaign.samples)),
        windows=tuple(windows(totals.windows_entered, known_windows)),
        sources=sources,
        benefit=benefit_text(benefit).removeprefix("benefit: "),
    )


def load_side(models: Models, name: str, campaign: Campaign) -> Model:
    """A model as the campaign or a finding names it; copies are in models/.  OverlayError."""
    for folder in (campaign.layout.models, campaign.layout.root):
        if name.endswith(FILE_SUFFIXES) and (folder / name).is_file():
            return models.get(name, folder)
    return models.get(name)


def _summary(models: Models, name: str, campaign: Campaign) -> str:
    try:
        return load_side(models, name, campaign).summary
    except OverlayError as error:
        return f"cannot be loaded any more: {error}"


def _story(entry: Entry, campaign: Campaign, models: Models, rows: int, at: int) -> Story:
    finding = entry.finding
    assert finding is not None
    path = str(entry.folder / PROGRAM)
    facts = tuple(entries(finding, path))
    commands = tuple(replay(finding, path))
    drawing, undrawn = _drawing(finding, campaign, models, rows)
    rule = EXPLAINED.get(finding.kind.rule)
    return Story(
        entry=entry,
        finding=finding,
        rule=rule.holds if rule else "",
        claim=rule.claim if rule else "",
        matters=rule.otherwise if rule else "",
        side=SIDES.get(finding.kind.side, finding.kind.side),
        facts=tuple(f for f in facts if f[0] not in ELSEWHERE and f[1] not in commands),
        size=tuple(text for name, text in facts if name in ("program", "needed")),
        replay=commands,
        program=format_program(finding.program),
        drawing=drawing,
        undrawn=undrawn,
        unfolded=at < OPEN_MAX,
    )


def _drawing(
    finding: Finding, campaign: Campaign, models: Models, rows: int
) -> tuple[lanes.Drawing | None, str]:
    """Run the program once more and draw it; what keeps it from running is told instead."""
    if finding.kind.rule == HANG.slug:
        return None, "its program does not come back, so it was not run again for this report"
    try:
        ours, theirs = (load_side(models, name, campaign) for name in finding.models)
        lines = timeline(finding.program, ours, theirs)
    except (OverlayError, HarnessError) as error:
        return None, str(error)
    return lanes.draw(finding.program, lines, finding.needed, rows), ""


def render(page: Page) -> str:
    """The page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=wording.number,
        duration=duration,
        percent=wording.percent,
        soft=soft,
        svg=Markup,
    )
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    values: dict[str, Any] = {
        "page": page,
        "campaign": page.campaign,
        "script": Markup(script),
        "style": Markup(style),
        "script_hash": script_hash(script),
    }
    environment.tests.update({
        "step": _is(lanes.Step), "turn": _is(lanes.Turn), "band": _is(lanes.Band),
        "fold": _is(lanes.Fold), "gap": _is(lanes.Gap),
    })  # fmt: skip
    return environment.get_template("page.html").render(values)


def soft(label: str) -> Markup:
    """A step's name that may be broken where a reader would break it."""
    return Markup(escape(label).replace("_", Markup("_<wbr>")).replace(".", Markup(".<wbr>")))


def _is(kind: type) -> Any:
    return lambda value: isinstance(value, kind)


def script_hash(script: str) -> str:
    """What the content security policy names a script by."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
