"""Windows of the kernel's code that other operations got into, and those that none did.

A window is a stretch in which something is half done, such as between invalidate start and end.
One that was never entered is where the next bug may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """One window; entered says which ops got into it and how often, most often first."""

    name: str
    sentence: str  # empty when the table of windows does not know it
    entered: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """How often anything got into it."""
        return sum(count for _, count in self.entered)


def windows(entered: Mapping[str, Mapping[str, int]], known: Mapping[str, str]) -> list[Window]:
    """Every window that is known or was entered, in the order of the table, others after it."""
    names = [*known, *(name for name in sorted(entered) if name not in known)]
    found: list[Window] = []
    for name in names:
        ops = {op: count for op, count in entered.get(name, {}).items() if count > 0}
        ranked = sorted(ops.items(), key=lambda pair: (-pair[1], pair[0]))
        found.append(Window(name, known.get(name, ""), tuple(ranked)))
    return found
