"""The location that hosts share: objects named by content, on whatever fsspec knows."""

from __future__ import annotations

import threading
from pathlib import Path
from uuid import uuid4

import pytest

pytest.importorskip("fsspec", reason="needs the extra: pip install 'gmemdiff[cluster]'")

from tools.campaign.layout import YOUNG, content_name
from tools.cluster.share import CORPUS, OBJECT_MAX, QUARANTINE, Share, ShareError, hash_in, whole

DATA = b"gmemdiff 1\n"
NAME = content_name(DATA)


@pytest.fixture(params=["file", "memory"])
def share(request: pytest.FixtureRequest, tmp_path: Path) -> Share:
    """A location of each kind."""
    url = tmp_path.as_uri() if request.param == "file" else f"memory://{uuid4().hex}"
    share = Share(url)
    share.make()
    return share


def test_what_is_written_is_listed_and_read(share: Share) -> None:
    share.write(f"{CORPUS}/{NAME}", DATA)
    assert share.sizes(CORPUS) == {NAME: len(DATA)}
    assert share.read(f"{CORPUS}/{NAME}") == DATA
    assert share.program(CORPUS, NAME, len(DATA)) == DATA


def test_what_is_not_there_is_nothing(share: Share) -> None:
    assert share.read("stop") is None
    assert share.sizes("nowhere") == {}
    share.remove("stop")
    share.set_aside(CORPUS, NAME)


def test_a_torn_object_is_no_program(share: Share) -> None:
    share.write(f"{CORPUS}/{NAME}", DATA[:4])
    assert share.program(CORPUS, NAME, 4) == b""


def test_an_object_that_is_empty_or_huge_is_not_even_read(share: Share) -> None:
    share.write(f"{CORPUS}/{NAME}", DATA)
    assert share.program(CORPUS, NAME, 0) == b""
    assert share.program(CORPUS, NAME, OBJECT_MAX + 1) == b""


def test_a_torn_object_that_is_set_aside_is_kept(share: Share) -> None:
    share.write(f"{CORPUS}/{NAME}", b"torn")
    share.set_aside(CORPUS, NAME)
    assert share.sizes(CORPUS) == {}
    [name] = share.names(QUARANTINE)
    assert name.startswith(f"{CORPUS}-{NAME}.")
    assert share.read(f"{QUARANTINE}/{name}") == b"torn"


def test_other_files_and_those_that_are_being_written_are_not_listed(share: Share) -> None:
    for name in (f"{YOUNG}{NAME}.1", "README", f"{NAME}.orig", NAME.upper()):
        share.write(f"{CORPUS}/{name}", DATA)
    assert share.sizes(CORPUS) == {}


@pytest.mark.parametrize(
    "name", [NAME, f"{NAME}.prog", f"12345678-{NAME[:16]}.prog", f"{'0' * 40}-{NAME[:16]}.txt"]
)
def test_a_name_promises_its_content(name: str) -> None:
    assert whole(name, DATA)
    assert not whole(name, DATA + b"more")


@pytest.mark.parametrize("name", ["", "README", "..", NAME[:8], f"{NAME}.py", f"x-{NAME}"])
def test_a_name_without_a_hash_promises_nothing(name: str) -> None:
    assert hash_in(name) == ""
    assert not whole(name, DATA)


def test_many_writers_of_one_name_leave_one_whole_object(tmp_path: Path) -> None:
    share = Share(tmp_path.as_uri())
    share.make()
    data = b"x" * 60_000
    name = content_name(data)
    torn: list[bytes] = []

    def write() -> None:
        for _ in range(5):
            share.write(f"{CORPUS}/{name}", data)
            found = share.read(f"{CORPUS}/{name}")
            if found != data:
                torn.append(found or b"")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not torn
    assert [path.name for path in (tmp_path / CORPUS).iterdir()] == [name]


def test_a_write_that_fails_leaves_no_file(tmp_path: Path) -> None:
    share = Share(tmp_path.as_uri())
    share.make()
    (tmp_path / CORPUS / NAME).mkdir()
    (tmp_path / CORPUS / NAME / "in-the-way").touch()
    with pytest.raises(ShareError):
        share.write(f"{CORPUS}/{NAME}", DATA)
    assert not [p for p in (tmp_path / CORPUS).iterdir() if p.name.startswith(YOUNG)]


def test_a_path_is_made_absolute_for_other_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Share("here").url == (tmp_path / "here").as_uri()


@pytest.mark.parametrize("url", ["nonsense://x", "file:///proc/no/such/place"])
def test_a_location_that_cannot_be_used_gets_one_line(url: str) -> None:
    with pytest.raises(ShareError, match=r"check --share$") as caught:
        Share(url).make()
    assert url in str(caught.value)
    assert "\n" not in str(caught.value)
