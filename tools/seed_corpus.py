"""The seed corpus as fuzzing services want it: ``python -m tools.seed_corpus OUT.zip [FOLDER]``.

All programs of corpora/ that parse, once each, under libFuzzer's names, in one archive that is the
same to the byte wherever it is made.  Left out are those that show what the patch under test does
wrong: a target that stops at findings would stop at its seeds.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Final

from fuzz.judge import PATCHED_ONLY
from fuzz.parser import DEFAULT
from fuzz.text import ProgramError, load
from fuzz.vocabulary import Program
from tools import exits
from tools.campaign.layout import content_name

CORPORA: Final = Path(__file__).parents[1] / "corpora"
DATE: Final = (1980, 1, 1, 0, 0, 0)  # the first that an archive can hold


def is_seed(program: Program) -> bool:
    """Whether a target can run a program without stopping at it."""
    against = any(line.startswith(PATCHED_ONLY) for line in program.expect)
    return not (against and program.patched == DEFAULT.patched)


def seeds(folder: Path) -> dict[str, bytes]:
    """The programs by their names in the archive, sorted.  Raises ProgramError."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*.prog")):
        if is_seed(load(path)):
            data = path.read_bytes()
            found[content_name(data)] = data
    return dict(sorted(found.items()))


def write_archive(path: Path, files: dict[str, bytes]) -> None:
    """Write files to an archive, without dates, owners, or compression that differs by version."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, DATE)
            info.create_system = 3  # Unix, wherever this runs
            info.external_attr = 0o100644 << 16
            archive.writestr(info, data)


def main(arguments: list[str]) -> int:
    """Make the archive."""
    if len(arguments) not in (1, 2):
        print("usage: python -m tools.seed_corpus OUT.zip [FOLDER]", file=sys.stderr)
        return exits.BAD_INPUT
    folder = Path(arguments[1]) if len(arguments) == 2 else CORPORA
    try:
        files = seeds(folder)
        if not files:
            print(f"{folder}: no programs to seed with; give a folder of *.prog", file=sys.stderr)
            return exits.NOTHING
        write_archive(Path(arguments[0]), files)
    except (ProgramError, OSError) as error:
        print(error, file=sys.stderr)
        return exits.BAD_INPUT
    print(f"{arguments[0]}: {len(files)} programs")
    return exits.CLEAN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
