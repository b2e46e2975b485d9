"""Curves over time, as SVG to stand in a page.

pygal draws them.  Its script, its comments (one has today's date) and its tooltips are taken out:
a report runs no foreign code, and the same campaign gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree

import pygal
from pygal.style import Style

from tools.campaign.views.words import duration
from tools.report.samples import Sample
from tools.report.wording import number

WIDTH: Final = 460
HEIGHT: Final = 190
SVG: Final = "{http://www.w3.org/2000/svg}"
DIGITS: Final = re.compile(r"(\.\d)\d+")  # a tenth of a pixel is enough

# The page's colours: they follow its light and dark.
STYLE: Final = Style(
    background="transparent",
    plot_background="transparent",
    foreground="var(--ink)",
    foreground_strong="var(--ink)",
    foreground_subtle="var(--faint)",
    colors=("var(--accent)",),
    opacity="1",
    opacity_hover="1",
    font_family="inherit",
    label_font_size=13,
    major_label_font_size=13,
    guide_stroke_color="var(--line)",
    major_guide_stroke_color="var(--line)",
    guide_stroke_dasharray="0",
    major_guide_stroke_dasharray="0",
)


@dataclass(frozen=True, slots=True)
class Curve:
    """One drawing: its title, what it says in words, and the SVG."""

    title: str
    now: str
    svg: str


_CURVES: Final[Sequence[tuple[str, Callable[[Sample], float]]]] = (
    ("Blocks of the models reached", lambda s: s.lines),
    ("Pairs of steps that met", lambda s: s.pairs),
    ("Windows entered, by op", lambda s: s.windows),
    ("Corpus", lambda s: s.corpus),
    ("Findings", lambda s: s.findings),
    ("Executions a second", lambda s: s.rate),
)


def curves(samples: Sequence[Sample]) -> list[Curve]:
    """All curves; none when there are fewer than two moments to draw a line between."""
    if len({sample.run_time for sample in samples}) < 2:
        return []
    drawn = []
    for at, (title, value) in enumerate(_CURVES):
        points = [(sample.run_time, value(sample)) for sample in samples]
        drawn.append(Curve(title, number(points[-1][1]), _svg(at, title, points)))
    return drawn


def _svg(at: int, title: str, points: Sequence[tuple[float, float]]) -> str:
    chart: Any = pygal.XY(
        style=STYLE,
        js=[],
        width=WIDTH,
        height=HEIGHT,
        margin=4,
        margin_right=34,
        show_legend=False,
        show_dots=False,
        stroke_style={"width": 2},
        include_x_axis=True,
        y_labels_major_count=3,
        show_minor_y_labels=False,
        truncate_label=-1,
        x_value_formatter=duration,
        value_formatter=number,
    )
    end = points[-1][0]
    chart.x_labels = [0, end / 2, end]
    chart.uuid = f"curve{at}"  # a random one otherwise
    chart.add(title, points)
    return _plain(chart.render_tree(), title)


def _plain(root: ElementTree.Element, title: str) -> str:
    """The drawing without scripts, comments and tooltips, with a name for those who hear it."""
    for parent in list(root.iter()):
        for child in list(parent):
            tag = child.tag if isinstance(child.tag, str) else "comment"
            hidden = child.get("class", "") in ("tooltip", "text-overlay", "dots")
            if tag.removeprefix(SVG) in ("script", "comment", "desc", "title") or hidden:
                parent.remove(child)
        if "d" in parent.attrib:
            parent.set("d", DIGITS.sub(r"\1", parent.attrib["d"]))
    root.set("role", "img")
    root.set("aria-label", title)
    ElementTree.register_namespace("", SVG[1:-1])
    return ElementTree.tostring(root, encoding="unicode")
