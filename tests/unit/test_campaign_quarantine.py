"""Quarantine: nothing is overwritten, and neither odd names nor a full disk are in the way."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tools.campaign import quarantine
from tools.campaign.layout import Layout, content_name
from tools.campaign.quarantine import WHY, into_quarantine


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path)
    made.make()
    return made


def moved(layout: Layout, name: str, text: str) -> Path:
    """A file of the corpus with this name, after it was moved."""
    path = layout.corpus / name
    path.write_text(text)
    target = into_quarantine(layout, path, "because")
    assert not os.path.lexists(path)
    assert target.read_text() == text
    assert target.parent == layout.quarantine
    return target


def reason(target: Path) -> str:
    return target.with_name(target.name + WHY).read_text(encoding="utf-8")


def test_a_file_is_moved_with_a_line_that_says_what_it_was_and_why(layout: Layout) -> None:
    target = moved(layout, "torn", "x")
    assert target.name == "corpus-torn"
    assert reason(target) == "'torn' because\n"


def test_a_file_of_the_campaign_itself_says_so_in_its_name(layout: Layout) -> None:
    layout.known.write_text("{")
    assert into_quarantine(layout, layout.known, "because").name == "root-known.json"


def test_a_reason_of_several_lines_becomes_one(layout: Layout) -> None:
    path = layout.corpus / "torn"
    path.touch()
    assert reason(into_quarantine(layout, path, "one\ntwo \udcff")) == "'torn' one two \\udcff\n"


def test_nothing_is_overwritten(layout: Layout) -> None:
    assert moved(layout, "same", "one").name == "corpus-same"
    assert moved(layout, "same", "two").name == "corpus-same.2"
    assert moved(layout, "same", "three").name == "corpus-same.3"
    assert (layout.quarantine / "corpus-same").read_text() == "one"


def test_a_dangling_link_in_quarantine_is_not_overwritten_either(layout: Layout) -> None:
    (layout.corpus / "same").symlink_to("nowhere")
    link = into_quarantine(layout, layout.corpus / "same", "because")
    assert moved(layout, "same", "two").name == "corpus-same.2"
    assert link.is_symlink()


@pytest.mark.parametrize(
    "name",
    [
        "x" * 255,
        os.fsdecode(b"\xff\xfe.prog"),
        "a\nb",
        "\N{SNOWMAN}",
        "\x1b[31m",
    ],
)
def test_a_name_that_cannot_be_added_to_or_shown_is_told_in_the_reason(
    layout: Layout, name: str
) -> None:
    target = moved(layout, name, "x")
    assert target.name == content_name(os.fsencode(f"corpus-{name}"))
    assert reason(target) == f"{name!a} because\n"


def test_a_hidden_file_is_hidden_no_more(layout: Layout) -> None:
    assert moved(layout, ".young.x", "x").name == "corpus-young.x"
    assert moved(layout, "...", "x").name == "corpus-hidden"


def test_a_file_that_is_called_like_a_reason_is_neither_taken_for_one_nor_overwritten(
    layout: Layout,
) -> None:
    impostor = moved(layout, f"same{WHY}", "x")
    target = moved(layout, "same", "y")
    assert not impostor.name.endswith(WHY)
    assert impostor.read_text() == "x"
    assert reason(target) == "'same' because\n"


def test_on_a_full_disk_a_file_is_moved_without_the_reason(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(quarantine, "write_whole", no_room)
    assert not os.path.lexists(f"{moved(layout, 'torn', 'x')}{WHY}")


def test_a_move_that_was_killed_halfway_is_done_again_and_leaves_the_same(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def killed(*_: object) -> None:
        raise KilledError

    path = layout.corpus / "torn"
    path.write_text("x")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KilledError):
            into_quarantine(layout, path, "because")
    assert path.read_text() == "x"
    moved(layout, "torn", "x")
    assert sorted(each.name for each in layout.quarantine.iterdir()) == [
        "corpus-torn",
        f"corpus-torn{WHY}",
    ]
