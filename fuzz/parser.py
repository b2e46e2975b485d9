"""Words of a ``*.prog`` file to a Program; the grammar stands in fuzz/text.py.

The one idea: one method per kind of line, each reading its words from left to right, so that
the first mistake in reading order is the one told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from fuzz.lines import Line, LineError, Word
from fuzz.values import ValueTextError, parse_number, unknown
from fuzz.vocabulary import (
    FORMAT_VERSION,
    OPS,
    SETUP,
    VMS,
    Actor,
    Op,
    Preemption,
    Program,
)
from reference.features import KERNELS, MMUS, PROFILES, Profile

GEOMETRY: Final = {"vcpus": (1, 8), "frames": (8, 4096)}
DEFAULT: Final = Program(PROFILES[0])
_HEADERS: Final = ("profile", "vm", "geometry", "reference", "patched", "expect")
SCHEDULE: Final = "schedule"
_SETUP_KINDS: Final = ("vmm", "kthread")
_ACTOR: Final = re.compile(r"(vmm|vcpu|kthread)(0|[1-9][0-9]{0,2})")
_POINT: Final = re.compile(r"([a-z]+[0-9]+)\[([0-9]{1,9})\]")
_LABEL: Final = re.compile(r"([A-Za-z0-9_.-]+)(?:#([1-9][0-9]{0,8}))?")


class ProgramError(ValueError):
    """A text is no Program; says where, what is wrong, and what to do about it."""

    def __init__(self, filename: str, line: int, column: int, message: str) -> None:
        super().__init__(filename, line, column, message)
        self.filename = filename
        self.line = line
        self.column = column
        self.message = message

    def __str__(self) -> str:
        return f"{self.filename}:{self.line}:{self.column}: {self.message}"


class Parser:
    """Parts of a Program as they are read; errors leave through fail().

    lines: those with words, with their numbers from 1; number: that of the line being read.
    """

    def __init__(self, filename: str, lines: list[tuple[int, Line]]) -> None:
        self.filename = filename
        self.lines = lines
        self.number = 1
        self.kinds: tuple[str, ...] = ()  # of actors whose ops the section may hold
        self.profile: Profile | None = None
        self.vm = Word(DEFAULT.vm, 0)
        self.vm_number = 0  # its line
        self.geometry = {"vcpus": DEFAULT.vcpus, "frames": DEFAULT.frames}
        self.sides = {"reference": DEFAULT.reference, "patched": DEFAULT.patched}
        self.expect: list[str] = []
        self.ops: dict[str, list[Op]] = {}  # by section, in the order of the text
        self.schedule: list[Preemption] = []

    def fail(self, word: Word, message: str, skip: int = 0) -> NoReturn:
        """Raise an error about a word of the line being read, `skip` characters into it."""
        raise ProgramError(self.filename, self.number, word.column + skip, message)

    def program(self, title: tuple[str, ...]) -> Program:
        """Read all parts, in order."""
        profile, at = self.headers(self.version())
        self.sections(at)
        setup = tuple(self.ops.pop(SETUP, ()))
        return Program(
            profile=profile,
            setup=setup,
            actors=tuple(Actor(name, tuple(ops)) for name, ops in self.ops.items()),
            schedule=tuple(self.schedule),
            vm=self.vm.text,
            vcpus=self.geometry["vcpus"],
            frames=self.geometry["frames"],
            reference=self.sides["reference"],
            patched=self.sides["patched"],
            expect=tuple(self.expect),
            title=title,
        )

    def version(self) -> tuple[int, Word]:
        """Read the format line, so that files of later formats are told from wrong files."""
        want = f"gmemdiff {FORMAT_VERSION}"
        if not self.lines:
            raise ProgramError(self.filename, 1, 1, f"no program here; start it with '{want}'")
        self.number, line = self.lines[0]
        first, *rest = line.words
        if first.text != "gmemdiff":
            self.fail(first, f"not a gmemdiff program; the first line must be '{want}'")
        if not rest:
            self.fail(first, f"no format version; write '{want}'")
        if not re.fullmatch("[1-9][0-9]*", rest[0].text):
            self.fail(rest[0], f"'{rest[0].text}' is not a format version; write '{want}'")
        if rest[0].text != str(FORMAT_VERSION):
            message = f"format {rest[0].text} is newer than {FORMAT_VERSION}; update gmemdiff"
            self.fail(rest[0], message)
        self.no_more(rest[1:], want)
        return self.number, first

    def headers(self, version: tuple[int, Word]) -> tuple[Profile, int]:
        """Read header lines up to the first section; returns where that is."""
        readers: dict[str, Callable[[Word, tuple[Word, ...]], None]] = {
            "profile": self.read_profile,
            "vm": self.read_vm,
            "geometry": self.read_geometry,
            "reference": self.read_side,
            "patched": self.read_side,
            "expect": self.read_expect,
        }
        seen: set[str] = set()
        at = 1
        for at in range(1, len(self.lines) + 1):
            if at == len(self.lines):
                break
            self.number, line = self.lines[at]
            key, values = line.key, line.values
            if key is None or _is_section(key.text):
                break
            if key.text not in readers:
                self.fail(key, unknown("line", key.text, (*_HEADERS, SETUP, SCHEDULE)))
            if key.text in seen:
                self.fail(key, f"second {key.text} line; keep one")
            if not values:
                self.fail(key, f"{key.text} has no value; write it after the colon")
            if key.text != "expect":
                seen.add(key.text)
            readers[key.text](key, values)
        if self.profile is None:
            self.number, first = version
            self.fail(first, "no profile; add a line such as 'profile: v7.2 x86-tdp' below")
        if self.vm.text != DEFAULT.vm and not self.profile.has("sw_protected_vm"):
            self.number = self.vm_number
            self.fail(self.vm, f"{self.profile.mmu} has no such VM type; write 'vm: {DEFAULT.vm}'")
        return self.profile, at

    def no_more(self, words: Sequence[Word], form: str) -> None:
        """Refuse words after the end of a line's form."""
        if words:
            self.fail(words[0], f"'{words[0].text}' is too much; the line is '{form}'")

    def read_profile(self, key: Word, values: tuple[Word, ...]) -> None:
        """Read ``profile: KERNEL MMU``."""
        form = "profile: KERNEL MMU"
        if values[0].text not in KERNELS:
            self.fail(values[0], unknown("kernel", values[0].text, KERNELS))
        if len(values) < 2:
            self.fail(key, f"no MMU flavour; the line is '{form}', MMU one of {', '.join(MMUS)}")
        if values[1].text not in MMUS:
            self.fail(values[1], unknown("MMU flavour", values[1].text, MMUS))
        self.no_more(values[2:], form)
        self.profile = Profile(values[0].text, values[1].text)

    def read_vm(self, _key: Word, values: tuple[Word, ...]) -> None:
        """Read ``vm: TYPE``."""
        if values[0].text not in VMS:
            self.fail(values[0], unknown("VM type", values[0].text, VMS))
        self.no_more(values[1:], "vm: TYPE")
        self.vm, self.vm_number = values[0], self.number

    def read_geometry(self, _key: Word, values: tuple[Word, ...]) -> None:
        """Read ``geometry: vcpus=N frames=N``, either one optional."""
        seen: set[str] = set()
        for word in values:
            name, equals, text = word.text.partition("=")
            if name not in GEOMETRY:
                self.fail(word, unknown("geometry", name, GEOMETRY))
            if not equals:
                self.fail(word, f"{name} has no value; write {name}={self.geometry[name]}")
            if name in seen:
                self.fail(word, f"second {name}; keep one")
            low, high = GEOMETRY[name]
            value = self.value(parse_number, text, word, len(name) + 1)
            if not low <= value <= high:
                message = f"{name} is {value}; choose {low} to {high}"
                self.fail(word, message, len(name) + 1)
            seen.add(name)
            self.geometry[name] = value

    def read_side(self, key: Word, values: tuple[Word, ...]) -> None:
        """Read ``reference: MODEL`` or ``patched: MODEL``."""
        self.no_more(values[1:], f"{key.text}: MODEL")
        self.sides[key.text] = values[0].text

    def read_expect(self, _key: Word, values: tuple[Word, ...]) -> None:
        """Read ``expect: VERDICT WORDS``, one of several."""
        self.expect.append(" ".join(word.text for word in values))

    def sections(self, at: int) -> None:
        """Read setup, actors and schedule, in that order."""
        section = ""
        for number, line in self.lines[at:]:
            self.number = number
            key, values, words = line.key, line.values, line.words
            if key is not None:
                self.open_section(key, section)
                if values:
                    self.fail(values[0], f"text after '{key.text}:'; put it on a line of its own")
                section = key.text
            elif not section:
                name = words[0].text
                self.fail(words[0], f"'{name}' is in no section; write '{SETUP}:' above it")
            elif section == SCHEDULE:
                self.schedule.append(self.preemption(words))
            else:
                self.ops[section].append(self.op(line, section))

    def open_section(self, key: Word, last: str) -> None:
        """Check the name and place of a section, and start it."""
        name = key.text
        if name in _HEADERS:
            self.fail(key, f"'{name}:' inside a section; move it above the first section")
        if not _is_section(name):
            choices = (SETUP, SCHEDULE, "vmm0", "vcpu0", "kthread0")
            self.fail(key, unknown("section", name, choices))
        if name in self.ops or name == last:
            self.fail(key, f"second section '{name}:'; join it with the first")
        if last == SCHEDULE:
            self.fail(key, f"'{name}:' after the schedule; move the schedule to the end")
        if name == SETUP and last:
            self.fail(key, "'setup:' after an actor; move it before the first actor")
        if name.startswith("vcpu"):
            number, high = int(name[4:]), GEOMETRY["vcpus"][1]
            if number >= high:
                self.fail(key, f"no {name}, vcpus is at most {high}; use vcpu0 to vcpu{high - 1}")
            if number >= self.geometry["vcpus"]:
                fix = f"geometry: vcpus={number + 1} frames={self.geometry['frames']}"
                self.fail(key, f"no {name} with vcpus={self.geometry['vcpus']}; write '{fix}'")
        if name != SCHEDULE:
            self.ops[name] = []
            self.kinds = _SETUP_KINDS if name == SETUP else (name.rstrip("0123456789"),)

    def op(self, line: Line, section: str) -> Op:
        """Read ``name arg=value ... => expect``."""
        first = line.words[0]
        name = first.text
        spec = OPS.get(name)
        if spec is None:
            self.fail(first, unknown("op", name, OPS))
        if not any(kind in spec.actors for kind in self.kinds):
            hint = f"put it in an actor of kind {' or '.join(spec.actors)}"
            self.fail(first, f"{section} cannot do {name}; {hint}")
        try:
            return line.op
        except LineError as error:
            raise ProgramError(self.filename, self.number, error.column, error.message) from error

    def value(self, read: Callable[[str], int], text: str, word: Word, skip: int) -> int:
        """Apply a reader of values, placing its complaint."""
        try:
            return read(text)
        except ValueTextError as error:
            self.fail(word, str(error), skip)

    def preemption(self, words: tuple[Word, ...]) -> Preemption:
        """Read ``actor[op] at label#occurrence -> actor``."""
        form = "ACTOR[OP] at LABEL#N -> ACTOR"
        point = _POINT.fullmatch(words[0].text)
        if not point:
            self.fail(words[0], f"'{words[0].text}' is no place to preempt; write '{form}'")
        for place, want in ((1, "at"), (3, "->")):
            if len(words) <= place + 1:
                self.fail(words[-1], f"the line ends early; write '{form}'")
            if words[place].text != want:
                self.fail(words[place], f"'{words[place].text}' is not '{want}'; write '{form}'")
        self.no_more(words[5:], form)
        ops = self.actor(point[1], words[0])
        if int(point[2]) >= len(ops):
            message = f"{point[1]} has {len(ops)} ops, none numbered {point[2]}; count from 0"
            self.fail(words[0], message, len(point[1]) + 1)
        label = _LABEL.fullmatch(words[2].text)
        if not label:
            self.fail(words[2], f"'{words[2].text}' is no label; write LABEL#N, N from 1")
        self.actor(words[4].text, words[4])
        if words[4].text == point[1]:
            self.fail(words[4], f"{point[1]} cannot preempt itself; name another actor")
        return Preemption(point[1], int(point[2]), label[1], int(label[2] or 1), words[4].text)

    def actor(self, name: str, word: Word) -> list[Op]:
        """The ops of an actor that a schedule line names."""
        if name == SETUP or name not in self.ops:
            self.fail(word, unknown("actor", name, [name for name in self.ops if name != SETUP]))
        return self.ops[name]


def _is_section(name: str) -> bool:
    return name in (SETUP, SCHEDULE) or _ACTOR.fullmatch(name) is not None
