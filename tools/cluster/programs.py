"""What both ends of an exchange do with content-named programs and the texts beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from tools.campaign.layout import PROGRAM_SUFFIX, YOUNG, Layout, content_name, write_whole
from tools.cluster.share import CORPUS, ERRORS, HANGS, QUEUE, Share, whole

TEXT_SUFFIX: Final = ".txt"
KEPT: Final = (HANGS, ERRORS)  # programs that are bad for whoever runs them


def folders(layout: Layout) -> dict[str, Path]:
    """The folder of a campaign directory for each folder of a share."""
    return {
        CORPUS: layout.corpus,
        QUEUE: layout.queue,
        HANGS: layout.hangs,
        ERRORS: layout.errors,
    }


def local_names(folder: Path) -> list[str]:
    """Finished files of a folder, sorted."""
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith(YOUNG))


def program_hashes(names: Iterable[str]) -> set[str]:
    """The hashes of the programs among the objects of hangs/ or errors/."""
    return {name.removesuffix(PROGRAM_SUFFIX) for name in names if name.endswith(PROGRAM_SUFFIX)}


def send(share: Share, folder: str, path: Path, there: dict[str, int]) -> bool:
    """Put a file there unless a whole one is; False when it is not whole here.

    libFuzzer writes its files in place, so one may be half written; it is whole a moment later.
    An object of another size is torn, and is replaced.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return False
    if not whole(path.name, data):
        return False
    if there.get(path.name) != len(data):
        share.write(f"{folder}/{path.name}", data)
        there[path.name] = len(data)
    return True


def send_kept(share: Share, folder: str, path: Path, there: dict[str, int]) -> bool:
    """The same for a program of hangs/ or errors/: first the text that belongs to it.

    Two hosts may say different things about one program, hence the hash in the text's name.
    """
    if there.get(path.name) == path.stat().st_size:
        return True
    text = path.with_suffix(TEXT_SUFFIX)
    if text.exists():
        data = text.read_bytes()
        name = f"{path.stem}-{content_name(data)[:16]}{TEXT_SUFFIX}"
        share.write(f"{folder}/{name}", data)
    return send(share, folder, path, there)


def fetch(share: Share, folder: str, name: str, there: Mapping[str, int], target: Path) -> bool:
    """Take an object into a file; False when it is torn or gone.  Raises OSError."""
    data = share.program(folder, name, there[name])
    if data and not target.exists():
        write_whole(target, data)
    return bool(data)


def text_of(share: Share, folder: str, program: str, there: Mapping[str, int]) -> str:
    """The text that came with a program of hangs/ or errors/; empty when there is none."""
    prefix = f"{program.removesuffix(PROGRAM_SUFFIX)}-"
    for name, size in there.items():
        if name.startswith(prefix) and (data := share.program(folder, name, size)):
            return data.decode(errors="replace")
    return ""
