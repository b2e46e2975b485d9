"""The HTML report in a real browser: Chromium, headless, driven by Selenium.

Debian: ``apt install chromium chromium-driver``; without them these tests are skipped.
SHOTS=folder keeps screenshots for people to look at.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from fuzz.overlay import load_model
from tests.unit import campaigns
from tools.campaign.accept import Acceptance, Accepted
from tools.campaign.layout import Layout
from tools.commands.report import KNOWN
from tools.report.gather import gather
from tools.report.page import make_page, render
from tools.report.sources import annotate, measure, programs_in

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).resolve().parents[2]
WIDTHS: Final = (400, 1280)
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Elements that stick out of the page at its right, those that scroll by themselves aside.
STICKING_OUT: Final = """
const clipped = (e) =>
  e && (getComputedStyle(e).overflowX !== "visible" || clipped(e.parentElement));
return [...document.querySelectorAll("body *")]
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !clipped(e.parentElement))
  .map((e) => e.tagName + "." + e.className);
"""


def found(names: tuple[str, ...]) -> str | None:
    """The first of these programs that is installed."""
    return next((path for name in names if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless browser that logs its console and its network."""
    program, driver = found(BROWSERS), found(("chromedriver",))
    if program is None or driver is None:
        pytest.skip("needs a browser: apt install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    chrome = webdriver.Chrome(options=options, service=service)
    yield chrome
    chrome.quit()


def corpus(layout: Layout) -> None:
    """Programs that reach most of the models."""
    for at, path in enumerate(sorted((ROOT / "corpora").rglob("*.prog"))):
        shutil.copy(path, layout.corpus / f"{at:040x}")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it: 20 findings, one of them accepted, and a broken folder."""
    root = tmp_path_factory.mktemp("campaign")
    findings = [campaigns.stale(), campaigns.another("a_long_name_" * 12, "patched-only")]
    findings += [campaigns.another(f"site{at}") for at in range(18)]
    findings[1] = replace(findings[1], results=("x" * 500,))
    layout = campaigns.make(root, *findings)
    corpus(layout)
    (layout.findings / "00000000").mkdir()
    accepted = Accepted("a.toml", {findings[2].fingerprint: Acceptance("", "known since v6.18")})
    campaign = gather(root, accepted, campaigns.NOW)
    programs = list(programs_in(sorted(layout.corpus.iterdir())))
    covered = measure(programs, load_model("stock"), load_model("seed"))
    sources = annotate(covered, len(programs), campaign.corpus)
    path = root / "report.html"
    path.write_text(render(make_page(campaign, KNOWN, sources, "1.2.3")), encoding="utf-8")
    return path


def visit(browser: Any, page: Path, width: int, dark: bool = False) -> None:
    """Open the report in a window of this width."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get(page.as_uri())


def shoot(browser: Any, name: str, width: int) -> None:
    """Keep a screenshot of the upper part of the page if somebody wants to look."""
    folder = os.environ.get("SHOTS")
    if folder:
        clip = {"x": 0, "y": 0, "width": width, "height": 6000, "scale": 1}
        options = {"captureBeyondViewport": True, "format": "png", "clip": clip}
        shot = browser.execute_cdp_cmd("Page.captureScreenshot", options)
        Path(folder, f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


def requests(browser: Any) -> list[str]:
    """Addresses that were asked for since the page was opened."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


def test_the_page_is_small(page: Path) -> None:
    assert page.stat().st_size < 1_500_000


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_loads_nothing_and_the_console_stays_empty(
    browser: Any, page: Path, width: int
) -> None:
    visit(browser, page, width)
    assert requests(browser) == [page.as_uri()]
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_sticks_out_at_the_right(browser: Any, page: Path, width: int, dark: bool) -> None:
    visit(browser, page, width, dark)
    for opened in (False, True):
        if opened:
            script = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
            browser.execute_script(script)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert browser.execute_script(STICKING_OUT) == []
        if not opened:
            shoot(browser, f"report-{width}{'-dark' if dark else ''}", width)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_dot_stands_in_its_actors_lane_on_the_sides_that_take_the_step(
    browser: Any, page: Path, width: int
) -> None:
    visit(browser, page, width)
    dots = browser.execute_script("""
        const rows = document.querySelectorAll("#f-69a427fe .lanes > .s");
        return [...rows].map((row) => [...row.querySelectorAll("i")].map((lane) => {
          const dot = getComputedStyle(lane, "::after");
          return {
            drawn: dot.content !== "none" && parseFloat(dot.width) > 0,
            left: parseFloat(dot.left), room: lane.getBoundingClientRect().width,
            mark: row.className,
          };
        }));
    """)
    assert len(dots) > 20
    for left, right in dots:
        mark = left["mark"].split()[2:]
        assert left["drawn"] == (mark not in (["p"], ["px"]))
        assert right["drawn"] == (mark not in (["r"], ["rx"]))
        assert 0 <= left["left"] < left["room"]
    assert any(not right["drawn"] for _, right in dots)
    assert len({left["left"] for left, _ in dots}) == 3  # setup, vcpu0, vmm0


def test_a_command_can_be_copied(browser: Any, page: Path) -> None:
    visit(browser, page, 1280)
    boxes = browser.find_elements("css selector", "#f-69a427fe .cmd")
    told = boxes[0].find_element("css selector", "code").text
    assert told.startswith("gmemdiff run ")
    button = boxes[0].find_element("css selector", "button")
    browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", button)
    button.click()
    deadline = time.monotonic() + 5
    while button.text != "copied" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert button.text == "copied"


def test_a_link_leads_to_its_finding_and_opens_the_timeline(browser: Any, page: Path) -> None:
    visit(browser, page, 1280)
    last = browser.find_elements("css selector", "article.finding")[-1]
    timeline = last.find_element("css selector", "details.timeline")
    assert not timeline.get_property("open")
    name = last.get_property("id")
    browser.execute_script("location.hash = arguments[0]", name)
    deadline = time.monotonic() + 5
    while not timeline.get_property("open") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert timeline.get_property("open")


def test_text_can_be_read_on_its_ground(browser: Any, page: Path) -> None:
    """Contrast of at least 4.5 for text and 3 for what is only there for the curious."""
    for dark in (False, True):
        visit(browser, page, 1280, dark)
        colours = browser.execute_script("""
            const style = getComputedStyle(document.documentElement);
            const names = ["--ink", "--soft", "--faint", "--accent", "--bad", "--sheet", "--paper"];
            return Object.fromEntries(names.map((n) => [n, style.getPropertyValue(n).trim()]));
        """)
        for ground in ("--sheet", "--paper"):
            for name, least in (
                ("--ink", 7), ("--soft", 4.5), ("--accent", 4.5), ("--bad", 4.5), ("--faint", 3),
            ):  # fmt: skip
                assert contrast(colours[name], colours[ground]) >= least, (dark, name, ground)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, as WCAG defines it."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """The relative luminance of ``#rrggbb``."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
