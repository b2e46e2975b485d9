"""corpora/base.toml: what it accepts is what programs show, on both sides, and nothing else."""

from __future__ import annotations

from pathlib import Path

from fuzz.finding import Kind, kinds_of
from fuzz.judge import BOTH, suspicious
from fuzz.overlay import load_model
from fuzz.text import load
from tools.campaign.accept import load_accepted

CORPORA = Path(__file__).parents[2] / "corpora"
MODELS = load_model("stock"), load_model("seed")


def shown() -> dict[str, Kind]:
    """Every kind that a program of corpora/findings shows on both sides, by fingerprint."""
    kinds: dict[str, Kind] = {}
    for path in sorted((CORPORA / "findings").glob("*.prog")):
        look = suspicious(load(path), *MODELS)
        for kind in kinds_of(look) if look is not None else ():
            if kind.side == BOTH:
                kinds[kind.fingerprint] = kind
    return kinds


def test_every_accepted_base_bug_is_shown_by_a_program_on_both_sides() -> None:
    accepted = load_accepted(CORPORA / "base.toml").entries
    assert sorted(accepted.keys() - shown().keys()) == []


def test_every_bug_that_both_sides_show_is_in_the_list() -> None:
    accepted = load_accepted(CORPORA / "base.toml").entries
    missing = {name: kind for name, kind in shown().items() if name not in accepted}
    assert missing == {}
