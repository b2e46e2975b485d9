"""All rivals, by name, and what each needs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from tools.bench.rivals import drawn, guided, hypofuzz, raw, stateful
from tools.bench.rivals.rival import Rival


@dataclass(frozen=True, slots=True)
class Entry:
    """One rival.

    words: for the table's legend.  in_c: it needs both models in C.  ours: the guided engine.
    """

    run: Rival
    words: str
    in_c: bool = False
    ours: bool = False
    package: str = ""  # that must be installed


RIVALS: Final[dict[str, Entry]] = {
    "guided-c": Entry(guided.in_c, "our engine in C, under Atheris", in_c=True, ours=True),
    "random-c": Entry(drawn.in_c("round-robin"), "random typed programs, in C", in_c=True),
    "walk-c": Entry(drawn.in_c("walk"), "the same under random walks, in C", in_c=True),
    "pct-c": Entry(drawn.in_c("pct"), "the same under PCT, in C", in_c=True),
    "guided": Entry(guided.in_python, "our engine in Python, under Atheris", ours=True),
    "random": Entry(drawn.in_python(""), "random typed programs"),
    "walk": Entry(drawn.in_python("walk"), "the same under random walks"),
    "pct": Entry(drawn.in_python("pct"), "the same under PCT"),
    "windows": Entry(drawn.in_python("windows"), "the same, ops let into windows"),
    "stateful": Entry(stateful.run, "Hypothesis stateful testing"),
    "hypofuzz": Entry(hypofuzz.run, "the same under HypoFuzz", package=hypofuzz.PACKAGE),
    "bytes": Entry(raw.run, "plain Atheris on bytes"),
}


def missing(name: str) -> str:
    """The package that a rival needs and that is not installed; empty when it can run."""
    package = RIVALS[name].package
    return package if package and find_spec(package) is None else ""
