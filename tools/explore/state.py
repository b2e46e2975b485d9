"""A checkpoint of an exploration: what is done, in JSON, replaced as a whole."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from fuzz.port.exhaustive import Outcome, Survey
from fuzz.vocabulary import Preemption

FORMAT: Final = 1


class StateError(ValueError):
    """A checkpoint that cannot be used: says which, and what to do."""


def save(path: Path, what: str, state: dict[str, Any]) -> None:
    """Write a checkpoint.  what: tells apart what is explored; another cannot resume from it."""
    text = json.dumps({"format": FORMAT, "what": what, **state})
    new = path.with_name(path.name + ".new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise StateError(f"{path}: cannot be written: {error.strerror}") from error


def load(path: Path, what: str) -> dict[str, Any]:
    """Read a checkpoint; empty when there is none yet.  Raises StateError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"{path}: cannot be read: {error}") from error
    try:
        state: dict[str, Any] = json.loads(text)
        known, about = state["format"], state["what"]
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"{path}: is no checkpoint of gmemdiff explore; remove it") from error
    if known != FORMAT or about != what:
        raise StateError(
            f"{path}: is a checkpoint of another exploration; give --checkpoint another name"
        )
    return state


def survey_to_json(survey: Survey) -> dict[str, Any]:
    """A survey as plain data."""
    data = {f.name: getattr(survey, f.name) for f in fields(survey)}
    data["rules"] = [[*rule, _points(s)] for rule, s in survey.rules.items()]
    data["outcomes"] = [
        {**asdict(o), "schedule": _points(o.schedule)} for o in survey.outcomes.values()
    ]
    return data


def survey_from_json(data: dict[str, Any]) -> Survey:
    """The same back."""
    rules = {(rule, site): _schedule(points) for rule, site, points in data["rules"]}
    outcomes = {
        o["key"]: Outcome(**{**o, "schedule": _schedule(o["schedule"])}) for o in data["outcomes"]
    }
    return Survey(**{**data, "rules": rules, "outcomes": outcomes})


def _points(schedule: tuple[Preemption, ...]) -> list[list[Any]]:
    return [[p.actor, p.op, p.label, p.occurrence, p.to] for p in schedule]


def _schedule(points: list[list[Any]]) -> tuple[Preemption, ...]:
    return tuple(Preemption(*point) for point in points)
