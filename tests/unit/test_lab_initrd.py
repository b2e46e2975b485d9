"""The archives that a machine under test boots with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.lab.initrd import FILE, FOLDER, Entry, base_archive, cases_archive, newc

NAMES = st.text("abcdefgh-_.", min_size=1, max_size=20)


def read_newc(data: bytes) -> list[tuple[str, int, bytes]]:
    """An independent reader: name, mode and content of each entry, and nothing behind the last."""
    found: list[tuple[str, int, bytes]] = []
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = data[at + 110 : at + 110 + length - 1].decode()
        assert data[at + 110 + length - 1] == 0
        body = -(-(at + 110 + length) // 4) * 4
        content = data[body : body + size]
        at = -(-(body + size) // 4) * 4
        if name == "TRAILER!!!":
            assert at == len(data)
            return found
        found.append((name, mode, content))


@given(st.lists(st.tuples(NAMES, st.binary(max_size=40)), max_size=6))
def test_an_archive_holds_what_was_put_in(files: list[tuple[str, bytes]]) -> None:
    data = newc([Entry(name, FILE, content) for name, content in files])
    assert read_newc(data) == [(name, FILE, content) for name, content in files]
    assert len(data) % 4 == 0


@pytest.mark.skipif(not shutil.which("cpio"), reason="cpio is not installed")
def test_cpio_unpacks_it(tmp_path: Path) -> None:
    data = newc([Entry("a", FOLDER), Entry("a/b", FILE, b"content")])
    subprocess.run(["cpio", "-i", "--quiet"], input=data, cwd=tmp_path, check=True)
    assert (tmp_path / "a" / "b").read_bytes() == b"content"


def test_the_base_archive_lists_modules_in_the_order_of_loading() -> None:
    data = base_archive(b"init", {"kvm.ko": b"k", "irq.ko": b"i"}, ["irq.ko", "kvm.ko tdp_mmu=0"])
    entries = {name: content for name, _, content in read_newc(data)}
    assert entries["modules/order"] == b"irq.ko\nkvm.ko tdp_mmu=0\n"
    assert entries["modules/kvm.ko"] == b"k"
    assert entries["init"] == b"init"


def test_the_cases_are_an_archive_of_their_own() -> None:
    assert read_newc(cases_archive(b"case 0\n")) == [("cases", FILE, b"case 0\n")]
