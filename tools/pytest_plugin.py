"""pytest plugin: every ``*.prog`` file is a test, and its failure text is the report.

It is loaded into every pytest run of an environment that has gmemdiff installed, so nothing of
ours is imported before there is a program to run, and only files that begin with the format
line are taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from fuzz.judge import Judgement
    from tools.cases import Case

SUFFIX: Final = ".prog"
MAGIC: Final = b"gmemdiff"
SIDES: Final = ("patched", "reference")


class ProgramTestError(Exception):
    """A program did not do what it says it does; the text is what the user gets to see."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """--gmemdiff-patched, --gmemdiff-reference, and ini values of the same names."""
    group = parser.getgroup("gmemdiff", "gmemdiff programs")
    for side in SIDES:
        what = f"{side} model for all *.prog files, instead of what each names"
        group.addoption(f"--gmemdiff-{side}", metavar="NAME|FILE", help=what)
        parser.addini(f"gmemdiff_{side}", what, default="")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A file that is a program, by suffix and first line."""
    if file_path.suffix == SUFFIX and is_program(file_path):
        return ProgramFile.from_parent(parent, path=file_path)
    return None


def is_program(path: Path) -> bool:
    """Whether the first line that is no comment is the format line."""
    try:
        with path.open("rb") as file:
            for line in file:
                if line.strip() and not line.lstrip().startswith(b"#"):
                    return line.split()[0] == MAGIC
    except OSError:
        return False
    return False


class ProgramFile(pytest.File):
    """One file, one item: a program is a whole test."""

    def collect(self) -> Iterable[pytest.Item]:
        yield ProgramItem.from_parent(self, name=self.path.stem)


class ProgramItem(pytest.Item):
    """Runs a program on both models and compares with what it expects."""

    def runtest(self) -> None:
        """Fail with the report, and with what was expected instead."""
        from fuzz.judge import judge
        from fuzz.overlay import OverlayError
        from fuzz.text import ProgramError
        from tools.cases import Models, expects, load_case, stale_error

        models = Models()
        try:
            case = load_case(self.shown(), models, self.side("reference"), self.side("patched"))
            if not expects(case.program):
                raise ProgramTestError(
                    f"{case.path}: has no expectation; add 'expect: agree' or '=> result'"
                )
            judgement = judge(case.program, case.reference, case.patched)
            stale = stale_error(case.path, case.program, judgement.stale)
            if stale is not None:
                raise stale
        except (ProgramError, OverlayError) as error:
            raise ProgramTestError(str(error)) from error
        _check(case, judgement)

    def side(self, side: str) -> str | None:
        """The model that the command line or the ini file asks for."""
        given = self.config.getoption(f"gmemdiff_{side}") or self.config.getini(f"gmemdiff_{side}")
        return str(given) if given else None

    def shown(self) -> str:
        """The path as the user would type it."""
        try:
            return str(self.path.relative_to(Path.cwd()))
        except ValueError:
            return str(self.path)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Our own words for what a program did; a traceback for what our code did."""
        if isinstance(excinfo.value, ProgramTestError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name


def _check(case: Case, judgement: Judgement) -> None:
    from fuzz.finding import Finding
    from fuzz.judge import Verdict
    from fuzz.report import agreement, report
    from tools.cases import mismatches

    wrong = mismatches(judgement)
    if not wrong:
        return
    if judgement.verdict >= Verdict.DIVERGE:
        text = report(Finding.of(judgement, case.reference, case.patched), case.path)
    else:
        text = agreement(case.path, judgement) + "\n"
    raise ProgramTestError("\n".join(f"{case.path}: {line}" for line in wrong) + "\n\n" + text)
