"""The reviewed file of accepted findings, and the command that adds to it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit import campaigns
from tests.unit.samples import write
from tools import cli, exits
from tools.campaign.accept import Acceptance, Accepted, AcceptError, append, load_accepted

TODAY = date(2026, 11, 24)
ENTRY = '[[accepted]]\nfingerprint = "69a427fe"\nreason = "known"\n'


def test_an_entry_accepts_its_fingerprint_and_no_other(tmp_path: Path) -> None:
    accepted = load_accepted(Path(write(tmp_path, "a.toml", ENTRY)))
    entry = accepted.of("69a427fe", TODAY)
    assert entry is not None
    assert entry.reason == "known"
    assert accepted.of("69a427ff", TODAY) is None
    assert accepted.reasons(TODAY) == {"69a427fe": "known"}


def test_an_entry_holds_up_to_its_last_day_and_is_told_of_afterwards(tmp_path: Path) -> None:
    path = write(tmp_path, "a.toml", "# why\n\n" + ENTRY + "until = 2026-11-24\n")
    accepted = load_accepted(Path(path))
    assert accepted.of("69a427fe", TODAY) is not None
    later = date(2026, 11, 25)
    assert accepted.of("69a427fe", later) is None
    assert accepted.remarks(["69a427fe"], later) == [
        f"{path}:3:1: 69a427fe was accepted until 2026-11-24; it counts again"
    ]


def test_an_entry_of_no_finding_is_told_of(tmp_path: Path) -> None:
    path = write(tmp_path, "a.toml", ENTRY)
    accepted = load_accepted(Path(path))
    assert accepted.remarks(["69a427fe"], TODAY) == []
    assert accepted.remarks([], TODAY) == [
        f"{path}:1:1: 69a427fe was not found here; remove the entry if it is gone"
    ]


def test_the_default_file_is_read_only_if_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_accepted(None) == Accepted()
    write(tmp_path, "accepted.toml", ENTRY)
    assert "69a427fe" in load_accepted(None).entries
    with pytest.raises(AcceptError, match=r"^b\.toml:1:1: cannot be read: .*; check the path$"):
        load_accepted(Path("b.toml"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a = ", ":1:5: is not TOML: "),
        (ENTRY + 'by = "', ":4:7: is not TOML: "),
        ("[[accepted]]\n", ":1:1: fingerprint is None; want eight hex digits"),
        ('\n[[accepted]]\nfingerprint = "69A427FE"\n', ":2:1: fingerprint is '69A427FE'; want"),
        ('[[accepted]]\nfingerprint = "69a427fe"\n', ":1:1: 69a427fe has no reason; say why"),
        (ENTRY.replace("known", "  "), ":1:1: 69a427fe has no reason; say why"),
        (ENTRY + 'site = "*"\n', ":1:1: unknown key 'site'; known: fingerprint, reason"),
        (ENTRY + "by = 3\n", ":1:1: by is 3; want a name in quotes"),
        (ENTRY + 'until = "soon"\n', ":1:1: until is 'soon'; write a day as 2027-01-31"),
        (ENTRY + "until = 2027-01-31T10:00:00\n", ":1:1: until is "),
        (ENTRY + ENTRY, ":4:1: 69a427fe is accepted twice; remove one entry"),
        ("[accept]\n", ":1:1: unknown table 'accept'; write [[accepted]]"),
        ("[accepted]\n", ":1:1: accepted is no list of tables; write [[accepted]]"),
    ],
)
def test_a_wrong_file_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path, "a.toml", text)
    with pytest.raises(AcceptError) as caught:
        load_accepted(Path(path))
    assert str(caught.value).startswith(path + told)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(AcceptError, match="is not UTF-8; save"):
        load_accepted(path)


@settings(max_examples=25, deadline=None)
@given(
    reason=st.text(min_size=1).filter(lambda text: text.strip()),
    by=st.text(),
    until=st.none() | st.dates(),
    comment=st.text(),
)
def test_what_is_appended_reads_back(
    tmp_path_factory: pytest.TempPathFactory, reason: str, by: str, until: date | None, comment: str
) -> None:
    path = tmp_path_factory.mktemp("accept") / "accepted.toml"
    path.write_text("# reviewed\n" + ENTRY, encoding="utf-8")
    try:
        entry = Acceptance("00000001", reason.strip(), by.strip(), until)
        append(path, entry, [comment])
    except UnicodeEncodeError:
        return  # half a surrogate pair is no text
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# reviewed\n" + ENTRY)
    got = load_accepted(path).of("00000001", date.min)
    assert got is not None
    assert (got.reason, got.by, got.until) == (entry.reason, entry.by, entry.until)


def test_a_finding_is_not_accepted_twice(tmp_path: Path) -> None:
    path = Path(write(tmp_path, "a.toml", ENTRY))
    with pytest.raises(AcceptError, match=r":1:1: 69a427fe is accepted already; edit that entry$"):
        append(path, Acceptance("69a427fe", "again"))
    assert path.read_text(encoding="utf-8") == ENTRY


def test_the_command_adds_an_entry_that_says_what_it_is_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = campaigns.make(tmp_path / "c", campaigns.stale()).root
    path = tmp_path / "known.toml"
    arguments = ["-w", str(root), "--accept", str(path), "--by", "ann", "--until", "2027-01-31"]
    assert cli.main(["accept", campaigns.STALE, "--reason", "known", *arguments]) == exits.CLEAN
    assert "# INVARIANT patched-only stale-spte at " in path.read_text(encoding="utf-8")
    entry = load_accepted(path).entries[campaigns.STALE]
    assert (entry.by, entry.until) == ("ann", date(2027, 1, 31))
    assert capsys.readouterr().out.startswith(f"{path}: accepts 69a427fe, INVARIANT")
    assert cli.main(["accept", campaigns.STALE, "--reason", "x", *arguments]) == exits.BAD_INPUT


@pytest.mark.parametrize(
    "arguments",
    [
        ["accept", "69a427fe"],
        ["accept", "69a427fe", "--reason", " "],
        ["accept", "69A427FE", "--reason", "x"],
        ["accept", "../../..", "--reason", "x"],
        ["accept", "00000000", "--reason", "x"],
        ["accept", "69a427fe", "--reason", "x", "--until", "soon"],
    ],
)
def test_a_wrong_command_is_exit_code_2_and_writes_nothing(
    tmp_path: Path, arguments: list[str]
) -> None:
    root = campaigns.make(tmp_path / "c", campaigns.stale()).root
    path = tmp_path / "known.toml"
    code = cli.main([*arguments, "-w", str(root), "--accept", str(path)])
    assert code == exits.BAD_INPUT
    assert not path.exists()
