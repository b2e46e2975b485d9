"""Patches for the kernel's own source: the seed's, those of this project, a developer's."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import patched
from fuzz.port.patching import PatchError, Wording, patched_lines, read_patch
from tools.lab.buildtree import SOURCES
from tools.lab.errors import LabError

PATCHES: Final = Path(patched.__file__).parent / "kernel"
SEED: Final = "seed"
NONE: Final = "none"  # the stock source, rebuilt: what differs then is only the compiler
FUZZ_MAX: Final = 2  # outer context lines that may differ, as with patch(1)


@dataclass(frozen=True, slots=True)
class KernelPatch:
    """A unified diff with paths from the top of the kernel's source.  name: for people."""

    name: str
    text: str


def known_patches() -> list[str]:
    """Names of the patches that come with gmemdiff."""
    return sorted(str(p.relative_to(PATCHES).with_suffix("")) for p in PATCHES.rglob("*.patch"))


def find_patch(name: str) -> KernelPatch | None:
    """A patch by name or file; None for "none".  Raises LabError."""
    if name == NONE:
        return None
    path = PATCHES / f"{name}.patch" if name in known_patches() else Path(name)
    try:
        return KernelPatch(name if name in known_patches() else path.name, path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise LabError(
            f"{name}: {why}; --patch takes a file, {NONE}, or one of: {', '.join(known_patches())}"
        ) from error


def patch_files(source: Path, patch: KernelPatch) -> dict[str, str]:
    """The files that a patch changes, changed: text by path from the top of the source.

    Raises PatchError when a hunk has no place, LabError for a file that is no part of the modules.
    """
    result: dict[str, str] = {}
    for part in read_patch(patch.text, patch.name):
        if not any(_covers(pattern, part.path) for pattern in SOURCES):
            raise LabError(
                f"{patch.name}:1:1: {part.path} is no part of KVM's modules, and only these are "
                "built; build a whole kernel and pass it with --vmlinuz FILE --modules DIR"
            )
        if part.is_removed_file or part.is_rename:
            raise PatchError(f"{patch.name}:1:1: {part.path}: files cannot be removed or renamed")
        if part.is_added_file:
            lines = [line.value.rstrip("\r\n") for hunk in part for line in hunk if line.is_added]
            result[part.path] = "\n".join(lines) + "\n"
            continue
        file = source / part.path
        if not file.is_file():
            raise PatchError(f"{patch.name}:1:1: {part.path}: this kernel has no such file")
        old = result.get(part.path) or file.read_text(encoding="utf-8")
        where = Wording(patch.name, part.path, "the kernel", FUZZ_MAX)
        result[part.path] = "\n".join(patched_lines(old.splitlines(), part, where)[0]) + "\n"
    return result


def _covers(pattern: str, path: str) -> bool:
    return path.startswith(pattern + "/") or fnmatchcase(path, pattern)
