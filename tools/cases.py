"""A program file with the two models that it is to run on; shared by the CLI and pytest.

What is wrong with a case, whatever it is, is a ProgramError or an OverlayError: one line that
says where and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fuzz import text as texts
from fuzz.judge import Judgement
from fuzz.overlay import FILE_SUFFIXES, Model, OverlayError, load_model
from fuzz.text import ProgramError
from fuzz.vocabulary import Preemption, Program

SUFFIX: Final = ".prog"


@dataclass(slots=True)
class Models:
    """Loads each model once, also those that are files."""

    loaded: dict[str, Model] = field(default_factory=dict)

    def get(self, name: str, folder: Path | None = None) -> Model:
        """The model of that name; a file is looked for in `folder` first, as programs name it."""
        if folder is not None and name.endswith(FILE_SUFFIXES) and (folder / name).is_file():
            name = str(folder / name)
        if name not in self.loaded:
            self.loaded[name] = load_model(name)
        return self.loaded[name]


@dataclass(frozen=True, slots=True)
class Case:
    """One program file, ready to run."""

    path: str
    program: Program
    reference: Model
    patched: Model


def load_case(
    path: str, models: Models, reference: str | None = None, patched: str | None = None
) -> Case:
    """Read a program and its models; the names given override those in its header."""
    program = texts.load(path)
    sides: list[Model] = []
    for key, given in (("reference", reference), ("patched", patched)):
        if given is not None:
            sides.append(models.get(given))
            continue
        try:
            sides.append(models.get(getattr(program, key), Path(path).parent))
        except OverlayError as error:
            line, column = header_place(_text(path), key)
            raise ProgramError(path, line, column, str(error)) from error
    return Case(path, program, sides[0], sides[1])


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def header_place(text: str, key: str) -> tuple[int, int]:
    """Line and column of a header line's value; 1:1 when the header is not written."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip().startswith(f"{key}:"):
            rest = line.index(":") + 1
            return number, rest + len(line[rest:]) - len(line[rest:].lstrip()) + 1
    return 1, 1


def schedule_place(text: str, index: int) -> tuple[int, int]:
    """Line and column of the schedule entry with this index, from 0."""
    at = -1
    inside = False
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if not inside:
            inside = words[0].startswith("schedule:")
            continue
        at += 1
        if at == index:
            return number, len(line) - len(line.lstrip()) + 1
    return 1, 1


def point_text(p: Preemption) -> str:
    """A preemption as the schedule writes it."""
    return f"{p.actor}[{p.op}] at {p.label}#{p.occurrence} -> {p.to}"


def stale_error(path: str, program: Program, stale: Iterable[Preemption]) -> ProgramError | None:
    """What is wrong with a program whose schedule names a step that neither side reaches."""
    entries = list(stale)
    if not entries:
        return None
    line, column = schedule_place(_text(path), program.schedule.index(entries[0]))
    more = f" (and {len(entries) - 1} more)" if len(entries) > 1 else ""
    message = f"neither side reaches {point_text(entries[0])}{more}; remove the line"
    return ProgramError(path, line, column, message)


def expects(program: Program) -> bool:
    """Whether a program says what should come out of it."""
    ops = [*program.setup, *(op for actor in program.actors for op in actor.ops)]
    return bool(program.expect) or any(op.expect for op in ops)


def wanted_lines(program: Program) -> tuple[str, ...]:
    """The verdict lines that a program expects; without any it must agree."""
    return tuple(sorted(program.expect)) or ("agree",)


def mismatches(judgement: Judgement) -> list[str]:
    """What is not as the program says it should be, in words."""
    wanted, got = wanted_lines(judgement.program), judgement.lines
    wrong: list[str] = []
    if wanted != got:
        wrong.append(f"expected {', '.join(wanted)}; got {', '.join(got)}")
    return wrong + [f"unexpected result: {text}" for text in judgement.expectation]


def program_files(paths: Iterable[str]) -> list[str]:
    """Files as given, and all programs below folders, sorted."""
    files: list[str] = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            files += [str(found) for found in sorted(path.rglob(f"*{SUFFIX}")) if found.is_file()]
        else:
            files.append(given)
    return files
