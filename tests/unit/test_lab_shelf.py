"""The lab's cache: whole or not there, and what was changed since is made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.lab.errors import LabError
from tools.lab.shelf import Shelf, key_of


class Maker:
    """Fills a folder with one file, and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> dict[str, str]:
        self.calls += 1
        (folder / "sub").mkdir()
        (folder / "sub/file").write_text("content")
        return {"fact": "1"}


def test_an_entry_is_made_once_and_found_again(tmp_path: Path) -> None:
    maker = Maker()
    made = Shelf(tmp_path).make("things", "a", maker)
    assert Shelf(tmp_path).make("things", "a", maker) == made
    assert maker.calls == 1
    assert made.facts == {"fact": "1"}
    assert list(made.files) == ["sub/file"]
    assert Shelf(tmp_path).names("things") == ["a"]


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "manifest"])
def test_a_damaged_entry_is_seen_and_made_again(tmp_path: Path, damage: str) -> None:
    maker = Maker()
    shelf = Shelf(tmp_path)
    file = shelf.make("things", "a", maker).folder / "sub/file"
    if damage == "changed":
        file.write_text("CONTENT")
    elif damage == "cut":
        file.write_text("cont")
    elif damage == "gone":
        file.unlink()
    else:
        (file.parents[1] / "manifest.json").write_text('{"facts": {')
    assert shelf.find("things", "a") is None
    assert not shelf.make("things", "a", maker).broken()
    assert maker.calls == 2
    assert file.read_text() == "content"


def test_what_was_not_finished_is_not_there(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)

    def killed(folder: Path) -> dict[str, str]:
        (folder / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shelf.make("things", "a", killed)
    assert shelf.find("things", "a") is None
    assert shelf.names("things") == []
    assert [path.name for path in (tmp_path / "things").iterdir()] == []


def test_what_a_killed_process_left_is_no_entry_and_in_nobodys_way(tmp_path: Path) -> None:
    left = tmp_path / "things/.new-a"
    left.mkdir(parents=True)
    (left / "manifest.json").write_text("{}")
    shelf = Shelf(tmp_path)
    assert shelf.names("things") == []
    assert not shelf.make("things", "a", Maker()).broken()
    assert shelf.names("things") == ["a"]


def test_a_folder_that_cannot_be_written_is_told_with_the_variable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="GMEMDIFF_CACHE"):
        Shelf(tmp_path / "file/lab").folder("things")


def test_keys_tell_where_one_text_ends() -> None:
    assert key_of("ab", "c") != key_of("a", "bc")
