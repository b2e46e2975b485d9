"""What one rival is to do, and what came of it; both travel as JSON between processes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from reference.features import Profile


@dataclass(frozen=True, slots=True)
class Task:
    """One rival looks for one mistake.

    mutant: the mistake, by name.  reference: the model without it.
    profiles: those to draw from, as text.  ops: fewest and most of a program, setup aside.
    seconds: machine time, user and system, of the child that looks.
    """

    rival: str
    mutant: str
    reference: str
    profiles: tuple[str, ...]
    seed: int
    seconds: float
    ops: tuple[int, int] = (2, 10)

    @property
    def model(self) -> str:
        """The model with the mistake."""
        return f"mutants/{self.mutant}"

    @property
    def parsed_profiles(self) -> tuple[Profile, ...]:
        """The profiles to draw from."""
        return tuple(Profile(*text.split()) for text in self.profiles)

    def to_json(self) -> dict[str, Any]:
        """As JSON can write it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Task:
        """Read it back."""
        return cls(**{**data, "profiles": tuple(data["profiles"]), "ops": tuple(data["ops"])})


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far a rival came.

    detected: it showed a difference that holds, after `seconds`; else `seconds` is its limit.
    executions: programs, each run on both sides.
    vain: what it showed that was nothing: the reference can do it as well, or nobody could tell.
    kind, program: what was detected, and by what.
    error: why there is no result; then nothing else counts.
    """

    detected: bool
    seconds: float
    executions: int = 0
    vain: int = 0
    kind: str = ""
    program: str = ""
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON can write it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Outcome:
        """Read it back."""
        return cls(**data)
