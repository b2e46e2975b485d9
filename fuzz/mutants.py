"""The mutants: models with one mistake each, and what is known of the mistake.

A mutant is an overlay in patched/mutants/ (fuzz/overlay.py) that says more of itself:

    GROUP = "reference"            # what the mistake is in, one of GROUPS
    PROFILE = "v7.2 x86-tdp"       # where it shows, so that a hunt need not look elsewhere
    HARD = "a nested guest"        # the rare state it needs, or PREEMPTIONS; optional
    EXECUTIONS = 2_000_000         # a hunt that has not killed it by then has failed; optional

patched/c/mutants/ has the same mistake as a patch of the C port.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fuzz.overlay import MUTANTS, OverlayError, known_models
from reference.features import PROFILES, Profile

GROUPS: Final = ("patch", "reference", "gpc", "prefetch", "aging", "dirty", "attributes")
PREEMPTIONS: Final = "three or more preemptions"
EXECUTIONS_DEFAULT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mutant, as its file describes it.

    hard: why it is hard to find; empty when it is not.  executions: the budget of a hunt, a
    program on both sides under one schedule being one.
    """

    name: str
    summary: str
    group: str
    profile: Profile
    hard: str
    executions: int

    @property
    def model(self) -> str:
        """The model's name."""
        return MUTANTS + self.name

    @property
    def demanding(self) -> bool:
        """Whether a hunt may take minutes."""
        return self.executions > EXECUTIONS_DEFAULT

    @property
    def base(self) -> str:
        """The model without the mistake: what the mutant is compared with."""
        return "seed" if self.group == "patch" else "stock"


def all_mutants() -> tuple[Mutant, ...]:
    """Every mutant, by group and name.  Raises OverlayError."""
    found = [
        _read(name.removeprefix(MUTANTS), path)
        for name, path in known_models().items()
        if name.startswith(MUTANTS)
    ]
    return tuple(sorted(found, key=lambda m: (GROUPS.index(m.group), m.name)))


def _read(name: str, path: Path) -> Mutant:
    """What a file says of itself; it is read and not run, since most of it is not asked for."""
    said = _constants(path)
    group = said.get("GROUP")
    if group not in GROUPS:
        raise OverlayError(f"{path}:1:1: GROUP is {group!r}; want one of {', '.join(GROUPS)}")
    profiles = {str(profile): profile for profile in PROFILES}
    profile = profiles.get(said.get("PROFILE", ""))
    if profile is None:
        raise OverlayError(
            f"{path}:1:1: PROFILE is {said.get('PROFILE')!r}; want one of {', '.join(profiles)}"
        )
    executions = said.get("EXECUTIONS", EXECUTIONS_DEFAULT)
    if not isinstance(executions, int) or executions < 1:
        raise OverlayError(f"{path}:1:1: EXECUTIONS is {executions!r}; want a number above 0")
    hard = said.get("HARD", "")
    if not isinstance(hard, str):
        raise OverlayError(f"{path}:1:1: HARD is {hard!r}; want what makes it hard, in words")
    return Mutant(name, str(said.get("SUMMARY", "")), group, profile, hard, executions)


def _constants(path: Path) -> dict[str, Any]:
    """The top-level names of a Python file that are bound to literals."""
    found: dict[str, Any] = {}
    for node in ast.parse(path.read_text(encoding="utf-8"), str(path)).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found
