"""Known limits: differences between models and kernels that are understood and stay.

They stand in limits.toml beside this file, each with its reason and as narrow as it can be
said: which op with which values, which value of it, on which kernels and MMUs, what the model
says and what the kernel.  A limit that matched nothing is told, too.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Final

from fuzz.text import format_op
from fuzz.vocabulary import OPS
from reference.features import MMUS, Profile
from tools.lab.case import STATS, Turn

RESULT: Final = "result"
ABOUT: Final = (RESULT, *STATS)
_KEYS: Final = {
    "name", "reason", "ops", "about", "values", "model", "kernel", "kernels", "mmus", "patched",
    "before", "spoils",
}  # fmt: skip


class LimitError(ValueError):
    """A file of limits that cannot be used: says where, and what to do."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One difference that is understood.

    ops: of which it speaks.  about: RESULT or counters.  values: a pattern that must be found in
    the op as programs write it.  model, kernel: patterns that the whole of either side's value
    matches.  before: a pattern that must be found in one of the ops before.  spoils: what comes
    after it in the program is not compared, because the two are in different states from here on.
    """

    name: str
    reason: str
    ops: tuple[str, ...]
    about: tuple[str, ...]
    spoils: bool
    values: re.Pattern[str] = re.compile("")
    model: re.Pattern[str] = re.compile(".*")
    kernel: re.Pattern[str] = re.compile(".*")
    before: re.Pattern[str] | None = None
    kernels: tuple[str, ...] = ()
    mmus: tuple[str, ...] = ()
    patched: bool | None = None

    def applies(
        self, turns: Sequence[Turn], at: int, about: str, sides: tuple[str, str], lab: Where
    ) -> bool:
        """Whether this is why model and kernel (sides) differ at turns[at]."""
        op = turns[at].op
        if op.name not in self.ops or about not in self.about:
            return False
        if self.kernels and lab.profile.kernel not in self.kernels:
            return False
        if self.mmus and lab.profile.mmu not in self.mmus:
            return False
        if self.patched is not None and self.patched != lab.patched:
            return False
        model, kernel = sides
        if not (self.model.fullmatch(model) and self.kernel.fullmatch(kernel)):
            return False
        if not self.values.search(format_op(op)):
            return False
        earlier = (format_op(turn.op) for turn in turns[:at])
        return self.before is None or any(self.before.search(text) for text in earlier)


@dataclass(frozen=True, slots=True)
class Where:
    """Which kernel, by the profile that stands for it, and whether it is patched."""

    profile: Profile
    patched: bool = False


@dataclass(slots=True)
class Limits:
    """All limits, in the order of the file; the first that applies is the one."""

    known: tuple[Limit, ...] = ()
    used: dict[str, int] = field(default_factory=dict)

    def find(
        self, turns: Sequence[Turn], at: int, about: str, sides: tuple[str, str], lab: Where
    ) -> Limit | None:
        """The limit that explains a difference, if one does; it is counted."""
        for limit in self.known:
            if limit.applies(turns, at, about, sides, lab):
                self.used[limit.name] = self.used.get(limit.name, 0) + 1
                return limit
        return None


def shipped_limits() -> Limits:
    """The limits that come with the project."""
    file = resources.files(__package__).joinpath("limits.toml")
    return parse_limits(file.read_text("utf-8"), "limits.toml")


def parse_limits(text: str, name: str) -> Limits:
    """Limits from TOML.  Raises LimitError."""
    try:
        entries = tomllib.loads(text).get("limit", [])
    except tomllib.TOMLDecodeError as error:
        raise LimitError(f"{name}: {error}") from error
    limits = [_limit(entry, f"{name}: limit {n}") for n, entry in enumerate(entries, 1)]
    names = [limit.name for limit in limits]
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise LimitError(f"{name}: two limits are called {twice[0]}; give one another name")
    return Limits(tuple(limits))


def _limit(entry: Mapping[str, Any], where: str) -> Limit:
    unknown = sorted(set(entry) - _KEYS)
    if unknown:
        raise LimitError(f"{where}: {unknown[0]} is not one of {', '.join(sorted(_KEYS))}")
    for key in ("name", "reason"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise LimitError(f"{where}: a limit needs a {key}")
    kernels = tuple(entry.get("kernels", ()))
    patterns = {
        key: _pattern(entry[key], f"{where}: {key}")
        for key in ("values", "model", "kernel", "before")
        if key in entry
    }
    return Limit(
        name=entry["name"],
        reason=entry["reason"],
        ops=_some(entry, "ops", OPS, where),
        about=_some(entry, "about", ABOUT, where),
        mmus=_some(entry, "mmus", MMUS, where) if "mmus" in entry else (),
        kernels=kernels,
        patched=entry.get("patched"),
        spoils=bool(entry.get("spoils", False)),
        **patterns,
    )


def _some(entry: Mapping[str, Any], key: str, known: Any, where: str) -> tuple[str, ...]:
    chosen = entry.get(key)
    if not isinstance(chosen, list) or not chosen:
        raise LimitError(f"{where}: {key} must be a list of names, and not empty")
    wrong = [each for each in chosen if each not in known]
    if wrong:
        raise LimitError(f"{where}: {key}: {wrong[0]!r} is not one of {', '.join(known)}")
    return tuple(chosen)


def _pattern(text: Any, where: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except (re.error, TypeError) as error:
        raise LimitError(f"{where}: {text!r} is no regular expression: {error}") from error
