"""A place that all hosts of a campaign reach, where programs are exchanged by content.

Any location that fsspec knows will do: a folder on a shared file system, a bucket, SFTP.  The
name of an object has the hash of its content in it, so two writers of one name write the same
bytes, and a torn object is known by its name: no host needs to lock, or to trust another one.

    corpus/SHA1                  programs with new coverage
    queue/KIND-SHA1.prog         programs that wait for triage at home
    hangs/, errors/SHA1.prog     as in a campaign directory; their texts are SHA1-TEXTSHA1.txt
    beats/SLICE.json             what a slice has counted so far; the last one is its result
    quarantine/                  torn objects, moved out of the way
    campaign.json                the settings: whose location this is
    known.json                   kinds that need no triage any more
    stop                         the session whose slices are to end
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import fsspec

from tools.campaign.child.pulse import INPUT_MAX
from tools.campaign.layout import YOUNG, content_name
from tools.campaign.settings import CampaignError

CORPUS: Final = "corpus"
QUEUE: Final = "queue"
HANGS: Final = "hangs"
ERRORS: Final = "errors"
BEATS: Final = "beats"
QUARANTINE: Final = "quarantine"
PROGRAMS: Final = (CORPUS, QUEUE, HANGS, ERRORS)  # folders of content-named objects
OBJECT_MAX: Final = INPUT_MAX  # bytes; anything larger is not ours
_NAME: Final = re.compile(r"(?:[0-9a-f]{8,40}-)?([0-9a-f]{16}|[0-9a-f]{40})(?:\.prog|\.txt)?")


class ShareError(CampaignError):
    """A location that cannot be used, or not now: says which, and what it answered."""


def hash_in(name: str) -> str:
    """The part of an object's name that its content must hash to; empty: not one of our names."""
    match = _NAME.fullmatch(name)
    return match.group(1) if match else ""


def whole(name: str, data: bytes) -> bool:
    """Whether an object has the content that its name promises."""
    wanted = hash_in(name)
    return bool(wanted) and content_name(data).startswith(wanted)


class Share:
    """One location.  Every method may raise ShareError, and nothing else."""

    def __init__(self, url: str) -> None:
        self.url = url
        with self._asking("cannot be used"):
            self._fs, self._root = fsspec.url_to_fs(url)
            protocols = self._fs.protocol
            protocols = (protocols,) if isinstance(protocols, str) else protocols
            # Writing an object in place is all or nothing in a bucket, but not in a folder.
            self._renames = "file" in protocols
            self.url = str(self._fs.unstrip_protocol(self._root))

    def make(self) -> None:
        """Make the folders, where there is such a thing."""
        with self._asking("cannot be written to"):
            for folder in (*PROGRAMS, BEATS, QUARANTINE):
                self._fs.makedirs(f"{self._root}/{folder}", exist_ok=True)

    def sizes(self, folder: str) -> dict[str, int]:
        """Names and sizes of the content-named objects in a folder, sorted."""
        path = f"{self._root}/{folder}"
        found: dict[str, int] = {}
        with self._asking("cannot be listed"), suppress(FileNotFoundError):
            self._fs.invalidate_cache(path)
            for entry in self._fs.ls(path, detail=True):
                name = str(entry["name"]).rstrip("/").rpartition("/")[2]
                if entry.get("type") == "file" and hash_in(name):
                    found[name] = int(entry.get("size") or 0)
        return dict(sorted(found.items()))

    def read(self, path: str) -> bytes | None:
        """An object; None when there is none."""
        with self._asking("cannot be read"), suppress(FileNotFoundError):
            return bytes(self._fs.cat_file(f"{self._root}/{path}"))
        return None

    def program(self, folder: str, name: str, size: int) -> bytes:
        """A content-named object that was listed with a size; empty when it is torn or gone."""
        if not 0 < size <= OBJECT_MAX:
            return b""
        data = self.read(f"{folder}/{name}") or b""
        return data if whole(name, data) else b""

    def write(self, path: str, data: bytes) -> None:
        """Make or replace an object, in one go where the location can."""
        target = f"{self._root}/{path}"
        with self._asking("cannot be written to"):
            if not self._renames:
                self._fs.pipe_file(target, data)
                return
            folder, _, name = target.rpartition("/")
            # Not only the process: slices run in threads, and hosts share folders.
            young = f"{folder}/{YOUNG}{name}.{uuid4().hex}"
            try:
                self._fs.pipe_file(young, data)
                Path(young).replace(target)  # and not mv: that goes into a folder of that name
            except OSError:
                with suppress(OSError):
                    self._fs.rm_file(young)
                raise

    def set_aside(self, folder: str, name: str) -> None:
        """Move an object to quarantine/, if it is there."""
        with self._asking("cannot be written to"), suppress(FileNotFoundError):
            target = f"{self._root}/{QUARANTINE}/{folder}-{name}.{uuid4().hex[:8]}"
            self._fs.mv(f"{self._root}/{folder}/{name}", target)

    def remove(self, path: str) -> None:
        """Remove an object, if it is there."""
        with self._asking("cannot be written to"), suppress(FileNotFoundError):
            self._fs.rm_file(f"{self._root}/{path}")

    def names(self, folder: str) -> list[str]:
        """All names in a folder that has no content-named objects, sorted."""
        path, found = f"{self._root}/{folder}", []
        with self._asking("cannot be listed"), suppress(FileNotFoundError):
            self._fs.invalidate_cache(path)
            found = [str(name).rpartition("/")[2] for name in self._fs.ls(path, detail=False)]
        return sorted(name for name in found if not name.startswith(YOUNG))

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Whatever the library behind a location raises becomes one line."""
        try:
            yield
        except ShareError:
            raise
        except Exception as error:  # each kind of location has errors of its own
            text = " ".join(str(error).split()) or type(error).__name__
            raise ShareError(f"{self.url}: {what}: {text}; check --share") from error


def as_json_object(data: bytes | None) -> dict[str, Any]:
    """An object of JSON; empty when it is missing, torn, or something else."""
    try:
        found = json.loads(data or b"")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
