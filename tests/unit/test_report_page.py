"""The HTML report: everything in it, nothing from elsewhere, and no text that becomes code."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fuzz.finding import Finding
from fuzz.hang import hang_finding
from fuzz.overlay import load_model
from tests.unit import campaigns
from tests.unit.campaigns import NOW
from tools.campaign.accept import Acceptance, Accepted
from tools.campaign.layout import Layout
from tools.campaign.settings import Settings
from tools.report import page
from tools.report.gather import gather
from tools.report.page import make_page, render, script_hash, soft

WINDOWS = {"swap..srcu": "New memslots are published.", "poisoning": "A page is poisoned."}
VOID = {"meta", "br", "link", "img", "hr", "input", "wbr"}


class Reader(HTMLParser):
    """Checks that elements nest, and collects what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.scripts += tag == "script"
        for name, value in attrs:
            if name in ("src", "srcset", "action", "data", "poster", "background"):
                self.loads.append(value or "")
            if name in ("href", "xlink:href"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def html(layout: Layout, accepted: Accepted | None = None) -> str:
    """The page of a campaign, without source coverage."""
    campaign = gather(layout.root, accepted or Accepted(), NOW)
    return render(make_page(campaign, WINDOWS, None, "1.2.3"))


def read(text: str) -> Reader:
    """The page, taken apart."""
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_loads_nothing_and_runs_only_its_own_script(tmp_path: Path) -> None:
    text = html(campaigns.make(tmp_path, campaigns.stale()))
    reader = read(text)
    assert reader.loads == []
    assert reader.handlers == []
    assert reader.scripts == 1
    assert all(link.startswith("#") for link in reader.links)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert script is not None
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    told = policy[1].replace("&#39;", "'")
    assert "default-src 'none'" in told
    assert f"script-src '{script_hash(script[1])}'" in told
    assert "url(" not in text


def test_every_link_inside_the_page_leads_somewhere(tmp_path: Path) -> None:
    reader = read(html(campaigns.make(tmp_path, campaigns.stale(), campaigns.another("x"))))
    assert {link[1:] for link in reader.links} <= set(reader.ids)
    assert len(reader.ids) == len(set(reader.ids))


def test_a_finding_is_told_with_everything_a_reader_needs(tmp_path: Path) -> None:
    layout = campaigns.make(tmp_path, campaigns.stale())
    text = html(layout)
    path = layout.findings / campaigns.STALE / "program.prog"
    for told in (
        "1 new finding<",
        "stale-spte <small>at gmem-only prefetched leaf",
        "The guest reads and writes memory that now belongs to another process or the kernel.",
        "11 times; first at 2026-11-24T12:03:10+00:00, after 3 min 10 s of fuzzing",
        "v7.2 x86-direct, v7.3 x86-direct",
        "1 original program kept",
        f"<code>gmemdiff show {path}</code>",
        "not found in all",
        "patched breaks stale-spte at gmem-only prefetched leaf",
        "first difference: a step that only the reference side takes",
        "munmap hva=A len=8p",
        "leaves zapped by notifiers 40 -&gt; 2",
        "Never entered (1)",
        "A page is poisoned.",
        "<b>9</b>",  # fallocate into swap..srcu
    ):
        assert told in text


def test_an_accepted_finding_says_so_and_why(tmp_path: Path) -> None:
    layout = campaigns.make(tmp_path, campaigns.stale())
    entry = Acceptance(campaigns.STALE, "known <since> v6.18", "ann")
    text = html(layout, Accepted("a.toml", {campaigns.STALE: entry}))
    assert "<h1>No new finding</h1>" in text
    assert "<b>Accepted</b> by ann: known &lt;since&gt; v6.18" in text


def hostile() -> Finding:
    """A finding whose every text tries to be code."""
    bad = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'"
    finding = campaigns.another(bad)
    program = replace(finding.program, title=(bad,))
    broken = tuple(replace(each, text=bad) for each in finding.broken)
    return replace(finding, program=program, broken=broken, results=(bad,), evidence=bad)


def test_no_text_of_a_campaign_becomes_code(tmp_path: Path) -> None:
    settings = Settings(created="<b>")
    layout = campaigns.make(tmp_path / "<i>", hostile(), settings=settings)
    (layout.findings / "<u>").mkdir()
    reader = read(html(layout))
    assert reader.scripts == 1
    assert reader.loads == []
    assert reader.handlers == []


@pytest.mark.parametrize("kind", ["empty", "broken", "no model"])
def test_a_campaign_in_any_state_has_a_page(tmp_path: Path, kind: str) -> None:
    findings = [] if kind == "empty" else [campaigns.stale()]
    layout = campaigns.make(tmp_path, *findings, settings=Settings())
    told = "No finding"
    if kind == "empty":
        layout.stats.unlink()
        (layout.worker(0) / "stats.json").unlink()
    elif kind == "broken":
        (layout.findings / "00000000").mkdir()
        told = "unreadable"
    else:
        (layout.findings / campaigns.STALE / "finding.json").unlink()
        gone = replace(campaigns.another("x"), models=("stock", "models/gone.py"))
        layout = campaigns.make(tmp_path / "2", gone, settings=Settings(patched="models/gone.py"))
        told = "No timeline: "
    text = html(layout)
    read(text)
    assert told in text


def test_a_program_that_hangs_is_not_run_for_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = load_model("stock"), load_model("seed")
    ends = "finished", "did not come back"
    program = campaigns.stale().program
    hang = hang_finding(program, "patched-only", "zap_leaf", ends, models, 30.0)
    layout = campaigns.make(tmp_path, hang)
    monkeypatch.setattr(page, "timeline", None)
    text = html(layout)
    assert "No timeline: its program does not come back" in text
    assert "<code>timeout 60 gmemdiff run " in text


def test_the_same_campaign_gives_the_same_bytes(tmp_path: Path) -> None:
    layout = campaigns.make(tmp_path, campaigns.stale())
    assert html(layout) == html(layout)


def test_labels_may_be_broken_where_words_end() -> None:
    assert soft("a_b.c<") == "a_<wbr>b.<wbr>c&lt;"
