"""`--cluster` and `--share`: what is said when they cannot be used."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools import exits
from tools.cli import main


def test_without_the_extra_one_line_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "tools.cluster.dask_engine", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    code = main(["fuzz", "-w", str(tmp_path), "--cluster", "tcp://127.0.0.1:1"])
    assert code == exits.BAD_INPUT
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("--cluster needs ")
    assert line.endswith("install it with: pip install 'gmemdiff[cluster]'")


def test_a_location_without_a_cluster_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["fuzz", "-w", str(tmp_path), "--share", "memory://x"])
    assert code == exits.BAD_INPUT
    assert "--share is of no use without --cluster" in capsys.readouterr().err


@pytest.mark.slow  # Dask takes half a second to import
def test_a_location_that_cannot_be_used_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed", reason="needs the extra: pip install 'gmemdiff[cluster]'")
    given = ["--cluster", "tcp://127.0.0.1:1", "--share", "nonsense://x"]
    assert main(["fuzz", "-w", str(tmp_path), *given]) == exits.BAD_INPUT
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("nonsense://x: cannot be used: ")
