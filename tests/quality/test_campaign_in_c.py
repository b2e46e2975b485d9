"""A real campaign on the C engine: it finds what the patch breaks, and Python says so too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.folder import PROGRAM, findings_in
from fuzz.folder import load as load_finding
from fuzz.judge import judge
from fuzz.overlay import load_model
from fuzz.text import load
from tests.ports import port_of
from tools import exits
from tools.campaign.layout import Layout

pytestmark = pytest.mark.slow

SECONDS = 30


def gmemdiff(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 120)


def test_a_short_campaign_finds_what_the_patch_breaks_and_python_agrees(tmp_path: Path) -> None:
    for model in ("stock", "seed"):
        port_of(model)
    root = tmp_path / "c"
    ended = gmemdiff(
        "fuzz", "-w", root, "-j", 1, "--engine", "c", "--profile", "v7.2 x86-direct",
        "--max-total-time", SECONDS,
    )  # fmt: skip
    assert ended.returncode == exits.FINDING, ended.stderr
    status = json.loads(gmemdiff("status", "-w", root, "--json").stdout)
    assert status["executions"] > 10_000, "schedules in C are executions"
    models = load_model("stock"), load_model("seed")
    sides = set()
    for folder in findings_in(Layout(root).findings):
        finding = load_finding(folder)
        kind = finding.kind
        assert kind.rule != "port-drift", finding.broken[0].text
        judgement = judge(load(folder / PROGRAM), *models)
        assert judgement.lines == finding.lines
        assert (kind.rule, kind.site, kind.side) in {
            (b.rule, b.site, b.side) for b in judgement.broken
        }
        sides.add(kind.side)
        checked = gmemdiff("run", "--check", folder / PROGRAM)
        assert checked.returncode == exits.CLEAN, checked.stdout + checked.stderr
    assert "patched-only" in sides
