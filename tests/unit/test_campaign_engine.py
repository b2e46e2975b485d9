"""Which engine a campaign gets, what happens where there is no compiler, and going on with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz.harness import Harness
from fuzz.overlay import load_model
from fuzz.port.compiler import VARIABLE, find_compiler
from fuzz.port.engine import PortHarness
from tests.ports import needs_compiler
from tests.unit import samples
from tests.unit.samples import write
from tools import cli, exits
from tools.campaign.engine import make_harness, on_engine
from tools.campaign.layout import Layout
from tools.campaign.settings import CampaignError, Settings, load_settings, save_settings
from tools.campaign.start import Wanted, make_root, open_settings


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without a C compiler."""
    monkeypatch.setenv(VARIABLE, "/nonexistent")
    find_compiler.cache_clear()
    yield
    find_compiler.cache_clear()


def begun(root: Path, wanted: Wanted | None = None) -> Settings:
    """The settings of a campaign that starts, or goes on."""
    return open_settings(make_root(root), wanted or Wanted())


def kept(root: Path) -> object:
    """The engine that campaign.json names."""
    return json.loads((root / "campaign.json").read_text(encoding="utf-8")).get("engine")


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command says in one line when it is given bad input."""
    assert cli.main([str(each) for each in arguments]) == exits.BAD_INPUT
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def test_with_a_compiler_and_two_ports_a_campaign_runs_in_c(tmp_path: Path) -> None:
    needs_compiler()
    assert begun(tmp_path / "c").engine == "c"
    assert kept(tmp_path / "c") == "c"
    assert begun(tmp_path / "c") == load_settings(tmp_path / "c")


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_a_campaign_runs_in_python(tmp_path: Path) -> None:
    assert begun(tmp_path / "c").engine == "python"
    assert kept(tmp_path / "c") == "python"


@pytest.mark.parametrize("side", ["reference", "patched"])
def test_with_an_overlay_of_the_users_own_a_campaign_runs_in_python(
    tmp_path: Path, side: str
) -> None:
    overlay = write(tmp_path, "wrong.py", samples.WRONG_STAT)
    wanted = Wanted(reference=overlay) if side == "reference" else Wanted(patched=overlay)
    assert begun(tmp_path / "c", wanted).engine == "python"


def test_the_engine_that_is_asked_for_is_used(tmp_path: Path) -> None:
    needs_compiler()
    for engine in ("c", "python"):
        assert begun(tmp_path / engine, Wanted(engine=engine)).engine == engine


@pytest.mark.usefixtures("no_compiler")
def test_engine_c_without_a_compiler_is_one_line_that_says_what_would_help(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = refused(capsys, "fuzz", "-w", tmp_path / "c", "--engine", "c")
    assert f"{VARIABLE}=/nonexistent" in text
    assert "--engine python" in text
    assert not (tmp_path / "c" / "campaign.json").exists()


def test_engine_c_for_an_overlay_of_the_users_own_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_compiler()
    overlay = write(tmp_path, "wrong.py", samples.WRONG_STAT)
    text = refused(capsys, "fuzz", "-w", tmp_path / "c", "--engine", "c", "--patched", overlay)
    assert "--engine python" in text


@pytest.mark.parametrize(("mine", "given"), [("c", "python"), ("python", "c")])
def test_a_campaign_goes_on_with_its_own_engine_and_with_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mine: str, given: str
) -> None:
    needs_compiler()
    root = tmp_path / "c"
    begun(root, Wanted(engine=mine))
    assert begun(root, Wanted(engine=mine)).engine == mine
    text = refused(capsys, "fuzz", "-w", root, "--engine", given)
    assert f"has --engine {mine}, not {given}" in text
    assert "leave --engine out" in text


def test_a_campaign_in_c_does_not_go_on_where_there_is_no_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_compiler()
    begun(tmp_path / "c", Wanted(engine="c"))
    monkeypatch.setenv(VARIABLE, "/nonexistent")
    find_compiler.cache_clear()
    try:
        text = refused(capsys, "resume", "-w", tmp_path / "c")
        assert f"engine c: {VARIABLE}=/nonexistent" in text
        assert "another -w" in text  # this one cannot change its engine
    finally:
        find_compiler.cache_clear()


def test_a_campaign_from_before_there_were_engines_goes_on_in_python(tmp_path: Path) -> None:
    root = tmp_path / "c"
    begun(root, Wanted(engine="python"))
    path = root / "campaign.json"
    old = json.loads(path.read_text(encoding="utf-8"))
    del old["engine"]
    path.write_text(json.dumps(old), encoding="utf-8")
    assert begun(root).engine == "python"
    assert begun(root, Wanted(engine="python")).engine == "python"
    with pytest.raises(CampaignError, match="has --engine python, not c"):
        begun(root, Wanted(engine="c"))


def test_an_engine_that_nobody_knows_is_told_with_the_file(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    save_settings(layout, Settings(engine="fortran"))
    with pytest.raises(CampaignError, match=r"campaign.json:1:1: engine is 'fortran'"):
        load_settings(tmp_path)


def test_workers_and_triage_get_what_the_settings_name(tmp_path: Path) -> None:
    needs_compiler()
    models = load_model("stock"), load_model("seed")
    in_python, in_c = Settings(engine="python"), Settings(engine="c")
    assert type(make_harness(tmp_path, in_python, models, print)) is Harness
    assert type(make_harness(tmp_path, in_c, models, print)) is PortHarness
    assert on_engine(tmp_path, in_python, models) is models
    assert all(model.runner for model in on_engine(tmp_path, in_c, models))
