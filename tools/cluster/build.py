"""Which gmemdiff this is, to the last line: hosts of one campaign must run the same."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

PACKAGES: Final = ("reference", "patched", "fuzz", "tools")
_PROJECT: Final = Path(__file__).resolve().parents[2]


@cache
def build_id() -> str:
    """The version and a hash of all sources: the version alone stays the same in a checkout."""
    return f"{_version()}+{sources_hash(_PROJECT)[:12]}"


def _version() -> str:
    try:
        return metadata.version("gmemdiff")
    except metadata.PackageNotFoundError:
        return "0"


def sources_hash(project: Path) -> str:
    """A hash over names and contents of the modules in our packages."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((project / package).rglob("*.py")):
            data = path.read_bytes()
            digest.update(f"{path.relative_to(project).as_posix()}\0{len(data)}\0".encode())
            digest.update(data)
    return digest.hexdigest()
