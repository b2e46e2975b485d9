"""What is exported or confirmed: a finding's folder, a file in it, or any program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fuzz.finding import Finding, kinds_of
from fuzz.folder import DATA, PROGRAM, FindingError, load
from fuzz.judge import judge
from fuzz.overlay import FILE_SUFFIXES, Model
from tools.campaign.layout import Layout
from tools.cases import Models, load_case


@dataclass(frozen=True, slots=True)
class Subject:
    """A finding with its models.  folder: where it is kept; None for a program by itself."""

    path: str
    finding: Finding
    reference: Model
    patched: Model
    folder: Path | None


def load_subject(given: str, models: Models, rule: str | None = None) -> Subject | None:
    """Read a finding, or judge a program.  None when a program breaks nothing.

    rule: of the rules that a program breaks, the one to look at; by default the one that speaks
    most against the patch.  Raises FindingError, ProgramError or OverlayError.
    """
    path = Path(given)
    folder = path if path.is_dir() else path.parent
    kept = path.is_dir() or path.name in (DATA, PROGRAM)
    if kept and (path.is_dir() or (folder / DATA).is_file()):
        if not (folder / DATA).is_file():
            raise FindingError(f"{given}: holds no {DATA}: give the folder of one finding")
        return _kept(folder, models)
    case = load_case(given, models)
    judgement = judge(case.program, case.reference, case.patched)
    if not judgement.broken and not judgement.differing:
        return None
    kinds = [kind for kind in kinds_of(judgement) if rule in (None, kind.rule)]
    if not kinds:
        broken = ", ".join(dict.fromkeys(kind.rule for kind in kinds_of(judgement)))
        raise FindingError(f"{given}: does not break {rule}; it breaks {broken}")
    chosen = kinds[0] if rule is not None else None
    finding = Finding.of(judgement, case.reference, case.patched, chosen)
    return Subject(given, finding, case.reference, case.patched, None)


def _kept(folder: Path, models: Models) -> Subject:
    finding = load(folder)
    sides = [_model(name, folder, models) for name in finding.models]
    return Subject(str(folder), finding, sides[0], sides[1], folder)


def _model(name: str, folder: Path, models: Models) -> Model:
    """A model as a finding names it; a campaign keeps copies of files in its models/."""
    root = folder.absolute().parent.parent
    for place in (Layout(root).models, root):
        if name.endswith(FILE_SUFFIXES) and (place / name).is_file():
            return models.get(name, place)
    return models.get(name)
