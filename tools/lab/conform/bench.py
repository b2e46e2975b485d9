"""What runs cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tools.lab.case import BootResult, Case


class Bench(Protocol):
    """A kernel that runs cases: tools.lab.lab.Lab, what remembers its answers, or a stand-in."""

    def run(self, cases: Sequence[Case]) -> list[BootResult]:
        """One result for each case, in their order over all boots."""
