"""What came of one hunt, as the hunting process tells it to its parent."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Outcome:
    """rules: that the smallest program breaks on the mutant alone, the one that was followed first;
    empty when the mutant was not killed.

    executions: until it was killed, or all of them.  seconds: of processor time for them, without
    what triage takes, which in a campaign runs beside.  stopped: by the clock.  error: why the hunt
    could not be run.
    """

    name: str
    engine: str
    seed: int
    rules: tuple[str, ...] = ()
    site: str = ""
    executions: int = 0
    seconds: float = 0.0
    program: str = ""
    stopped: bool = False
    error: str = ""

    @property
    def killed(self) -> bool:
        """Whether the mistake was found."""
        return bool(self.rules)

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """Read it back."""
        told = json.loads(text)
        return cls(**{**told, "rules": tuple(told["rules"])})
