"""The lab's cache: folders that are whole or not there, each with checksums of its files.

A folder is filled under another name and takes its place only when its manifest is written, so
what is found is whole.  What was changed or cut off since is seen by its checksum, taken away and
made again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fuzz.port.build import CACHE_VARIABLE, cache_folder
from tools.lab.errors import LabError

MANIFEST: Final = "manifest.json"
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One whole folder.  facts: what its maker noted; files: SHA-256 by path in the folder."""

    folder: Path
    facts: dict[str, str]
    files: dict[str, str]

    def broken(self) -> list[str]:
        """Files that are gone or are not what was put there, sorted."""
        return [name for name, digest in self.files.items() if sha256(self.folder / name) != digest]


class Shelf:
    """Entries by kind ("kernels", "builds", "qemu") and name."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or cache_folder() / "lab").absolute()

    def folder(self, *parts: str) -> Path:
        """A folder of the shelf for what is no entry, such as apt's lists; made when missing."""
        path = self.root.joinpath(*parts)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LabError(
                f"{path}: cannot be made: {error.strerror}; "
                f"set {CACHE_VARIABLE} to a folder that can be written"
            ) from error
        return path

    def find(self, kind: str, name: str) -> Entry | None:
        """An entry that is there and unbroken, else None."""
        entry = self.look(kind, name)
        return entry if entry and not entry.broken() else None

    def look(self, kind: str, name: str) -> Entry | None:
        """An entry that is there, broken or not."""
        folder = self.root / kind / name
        try:
            data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            return Entry(folder, dict(data["facts"]), dict(data["files"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def names(self, kind: str) -> list[str]:
        """Names of the entries of a kind that are there, broken or not, sorted."""
        folder = self.root / kind
        if not folder.is_dir():
            return []
        found = sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST}"))
        return [name for name in found if not name.startswith(".new-")]

    def make(self, kind: str, name: str, fill: Callable[[Path], dict[str, str]]) -> Entry:
        """The entry, found or made: `fill` writes its files into a folder and returns its facts.

        Of several processes one makes it, and the others wait for it.
        """
        with self.locked(kind, name):
            entry = self.find(kind, name)
            if entry is not None:
                return entry
            place = self.folder(kind) / name
            new = place.with_name(f".new-{name}")
            shutil.rmtree(new, ignore_errors=True)  # of one that was killed
            try:
                new.mkdir()
                _write_manifest(new, fill(new))
                shutil.rmtree(place, ignore_errors=True)
                new.rename(place)
            finally:
                shutil.rmtree(new, ignore_errors=True)
        made = self.look(kind, name)
        assert made is not None
        return made

    @contextlib.contextmanager
    def locked(self, kind: str, name: str) -> Iterator[None]:
        """Hold a lock that other processes see."""
        path = self.folder("locks") / f"{kind}-{name}"
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _write_manifest(folder: Path, facts: dict[str, str]) -> None:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    files = {path.relative_to(folder).as_posix(): sha256(path) for path in paths}
    text = json.dumps({"facts": facts, "files": files}, indent=1) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal; empty when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()


def key_of(*parts: str) -> str:
    """A short name for the content that these texts determine."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def disk_size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(
        os.lstat(Path(base) / name).st_size for base, _, names in os.walk(folder) for name in names
    )
