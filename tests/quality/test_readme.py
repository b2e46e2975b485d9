"""What the README shows is what happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fuzz.judge import judge
from fuzz.overlay import load_model
from fuzz.text import parse
from tools.cli import cli, main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, start: str = "") -> str:
    """The first fenced block of a language that starts so."""
    for found in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL):
        if found.startswith(start):
            return str(found)
    raise AssertionError(f"no {language} block starts with {start!r}")


def test_the_finding_shown_is_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    command, shown = block("console").split("\n", 1)
    assert main(command.removeprefix("$ gmemdiff ").split()) == 1
    assert capsys.readouterr().out.rstrip() == shown.rstrip()


def test_the_example_patch_loads_and_agrees_on_the_example_program(tmp_path: Path) -> None:
    path = tmp_path / "my_patch.py"
    path.write_text(block("python", "# my_patch.py"), encoding="utf-8")
    model = load_model(str(path))
    assert model.replaced == ("kvm_for_each_memslot_in_hva_range",)
    found = judge(parse(block("text", "# Delete a slot")), load_model("stock"), model)
    assert found.lines == ("agree",)
    assert found.expectation == []
    assert found.stale == []


def test_every_file_and_command_that_the_readme_names_is_there() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
    for name in re.findall(r"`gmemdiff ([a-z-]+)", README):
        assert name in cli.commands, name


def test_every_corpora_folder_is_explained() -> None:
    folders = {p.name for p in (ROOT / "corpora").iterdir() if p.is_dir()}
    for folder in folders:
        assert f"`{folder}`" in README, folder
