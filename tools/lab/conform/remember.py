"""Kernels' answers are kept: after a mend of a model, only the models have to be asked again.

An answer belongs to the kernel, the MMU flavour, the executor and the exact cases; when any of
them changes, the kernel runs again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from tools.lab import wire
from tools.lab.case import BootResult, Case, CaseResult, Observation
from tools.lab.conform.bench import Bench
from tools.lab.shelf import Shelf, key_of

ANSWERS: Final = "answers"
FILE: Final = "boots.json"
CASES_MIN: Final = 100  # smaller batches cost less than their place


@dataclass(slots=True)
class Remembering:
    """A bench whose answers are kept on a shelf.  key: names kernel, MMU and executor."""

    bench: Bench
    key: str
    shelf: Shelf
    fresh: bool = False  # run even what is known
    remembered: int = 0  # cases that were not run

    def run(self, cases: Sequence[Case]) -> list[BootResult]:
        """Answers to all cases, in their order over all boots."""
        if len(cases) < CASES_MIN:
            return self.bench.run(cases)
        probes = [repr(case.probes) for case in cases]
        name = key_of(self.key, wire.encode(cases).decode("ascii"), *probes)
        entry = None if self.fresh else self.shelf.find(ANSWERS, name)
        if entry is not None:
            self.remembered += len(cases)
            return load(json.loads((entry.folder / FILE).read_text("utf-8")), cases)
        boots = self.bench.run(cases)

        def fill(target: Any) -> dict[str, str]:
            (target / FILE).write_text(json.dumps([asdict(boot) for boot in boots]), "utf-8")
            return {"kernel": boots[0].kernel, "cases": str(len(cases))}

        self.shelf.make(ANSWERS, name, fill)
        return boots


def load(data: Sequence[Mapping[str, Any]], cases: Sequence[Case]) -> list[BootResult]:
    """Boots from JSON; cases have the names they have now."""
    names = iter([case.name for case in cases])
    return [_boot(boot, names) for boot in data]


def _boot(data: Mapping[str, Any], names: Any) -> BootResult:
    results = tuple(replace(_result(each), name=next(names)) for each in data["results"])
    return BootResult(**{**data, "results": results})


def _result(data: Mapping[str, Any]) -> CaseResult:
    attempts = tuple(tuple(Observation(**seen) for seen in each) for each in data["attempts"])
    return CaseResult(**{**data, "attempts": attempts})
