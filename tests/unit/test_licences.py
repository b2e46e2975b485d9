"""Which part has which licence, and that a wheel holds the C port with its words."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = (
    "reference/c", "fuzz/c", "patched/c", "patched/kernel", "tools/lab/executor",
)  # fmt: skip
SPDX: Final = "SPDX-License-Identifier: GPL-2.0-only"


def c_files() -> list[Path]:
    """Every file of the port, but what explains it."""
    found = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*"))]
    return [path for path in found if path.suffix in (".c", ".h", ".S", ".patch")]


def test_every_file_of_the_port_says_in_its_first_line_that_it_is_gpl() -> None:
    assert len(c_files()) > 40
    wrong = [p for p in c_files() if SPDX not in p.read_text(encoding="utf-8").split("\n", 1)[0]]
    assert wrong == []


def test_the_texts_of_both_licences_are_there() -> None:
    gpl = (ROOT / "LICENSES" / "GPL-2.0-only.txt").read_text(encoding="utf-8")
    assert "GNU GENERAL PUBLIC LICENSE" in gpl
    assert "Version 2, June 1991" in gpl
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")


@pytest.mark.slow
def test_a_wheel_holds_every_file_of_the_port_and_both_licences(tmp_path: Path) -> None:
    # From a copy: setuptools leaves build/ behind, and takes old files from it.
    files = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"],
        capture_output=True, text=True, check=False,
    ).stdout.split("\0")  # fmt: skip
    if files == [""]:
        pytest.skip("no git checkout")
    for name in filter(None, files):
        if not name.startswith(("tests/", "corpora/")) and (ROOT / name).is_file():
            (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "tree" / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path)]
    done = subprocess.run(
        [*command, str(tmp_path / "tree")], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"pip cannot build a wheel here: {done.stderr.strip().splitlines()[-1:]}")
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {p.relative_to(ROOT).as_posix() for p in c_files()} - set(names) == set()
    assert any(name.endswith("licenses/LICENSES/GPL-2.0-only.txt") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
