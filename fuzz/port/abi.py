"""A kernel object against what the port takes for granted (abi_table.py)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elftools.common.exceptions import DWARFError, ELFError, ELFParseError

from fuzz.port import abi_table as table
from fuzz.port.dwarf_facts import Facts, Wanted, read_facts
from fuzz.port.elf_object import KernelObject, ObjectError
from fuzz.port.macro_section import read_macros
from fuzz.port.macros import Macros
from fuzz.port.skip import Skip, find_skip
from fuzz.port.usage import Usage
from reference.features import FEATURES, KERNELS

SAME: Final = "same"
DIFFERS: Final = "differs"
ABSENT: Final = "not in the object"
# What a broken file makes a reader of it raise, pyelftools and ours.
_BROKEN: Final = (
    ELFError, ELFParseError, DWARFError, AssertionError, AttributeError, IndexError, KeyError,
    MemoryError, OSError, OverflowError, RecursionError, TypeError, UnicodeError, ValueError,
    struct.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One assumption.  user: ``file:function`` of the port."""

    kind: str
    what: str
    assumed: str
    user: str
    found: str
    verdict: str


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """A named feature of reference/features.py.  has None: DWARF cannot show it."""

    name: str
    has: bool | None
    sign: str


@dataclass(frozen=True, slots=True)
class Checked:
    """All that an object showed."""

    facts: Facts
    rows: tuple[Row, ...]
    features: tuple[FeatureRow, ...]
    skip: Skip

    @property
    def kernels(self) -> tuple[str, ...]:
        """The port's kernels that have the features shown which not all of them have."""
        shown = [(f.name, f.has) for f in self.features if f.has is not None]
        told = [(FEATURES[name][0], has) for name, has in shown if FEATURES[name][0] != KERNELS]
        return tuple(k for k in KERNELS if all((k in having) == has for having, has in told))

    def count(self, verdict: str) -> int:
        """Rows of one verdict."""
        return sum(row.verdict == verdict for row in self.rows)


def check_object(
    path: Path, sources: Mapping[str, str], progress: Callable[[str], None]
) -> Checked | None:
    """Check an object against the port's sources; None when there is nothing of KVM in it.

    progress: called with how far it is, at each unit.  Raises ObjectError.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ObjectError(f"{path}: cannot be read ({error.strerror}), give a file") from error
    with file, _broken_is_bad_input(path):
        kernel = KernelObject(path, file)
        facts = read_facts(kernel, _wanted(), progress)
        if not facts.units:
            return None
        macros = read_macros(kernel, facts)
        skip = find_skip(facts, kernel)
        rows = tuple(_rows(facts, macros, Usage(sources)))
        return Checked(facts, rows, tuple(_features(facts)), skip)


@contextmanager
def _broken_is_bad_input(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # of whoever read our progress
        raise
    except _BROKEN as error:
        raise ObjectError(
            f"{path}: its debug information cannot be read ({type(error).__name__}: {error}), "
            "copy it anew or build it with CONFIG_DEBUG_INFO_DWARF5=y"
        ) from error


def _wanted() -> Wanted:
    signs = [sign for sign in table.FEATURE_SIGNS.values() if not sign.endswith("()")]
    return Wanted(
        structs={member.struct for member in table.MEMBERS} | {s.split(".")[0] for s in signs},
        enumerators={enumerator.name for enumerator in table.ENUMERATORS},
        locals={where for arrays in table.ARRAYS.values() for where in arrays},
    )


def _rows(facts: Facts, macros: Macros | None, usage: Usage) -> Iterator[Row]:
    for constant in table.CONSTANTS:
        if constant.machine in ("", facts.machine):
            yield _constant(constant, facts, macros, usage)
    for enumerator in table.ENUMERATORS:
        if enumerator.machine in ("", facts.machine):
            yield _enumerator(enumerator, facts, usage)
    for member in table.MEMBERS:
        if member.machine in ("", facts.machine):
            yield _member(member, facts, usage)
    for function in table.FUNCTIONS:
        if function.machine in ("", facts.machine):
            yield _function(function, facts, usage)


def _constant(constant: table.Constant, facts: Facts, macros: Macros | None, usage: Usage) -> Row:
    user = usage.of_name(constant.port) or "uapi.h"
    value = macros.value(constant.name) if macros else None
    array = next(
        (where for where in table.ARRAYS.get(constant.name, ()) if where in facts.locals), None
    )
    if value is not None:
        found, same = _number(value), value == constant.value
    elif array:
        length = facts.locals[array].rpartition("[")[2].rstrip("]")
        found, same = f"{length}, the length of {array}", length == str(constant.value)
    else:
        why = "no such macro" if macros else "macros need gcc -g3"
        return Row("constant", constant.name, _number(constant.value), user, why, ABSENT)
    verdict = SAME if same else DIFFERS
    return Row("constant", constant.name, _number(constant.value), user, found, verdict)


def _number(value: int) -> str:
    return hex(value) if value > 0xFFFF else str(value)


def _enumerator(enumerator: table.Enumerator, facts: Facts, usage: Usage) -> Row:
    assumed = "any value" if enumerator.value is None else str(enumerator.value)
    value = facts.enumerators.get(enumerator.name)
    user = usage.of_name(enumerator.name)
    if value is None:
        kin = "_".join(enumerator.name.split("_")[:2])
        gone = any(name.startswith(kin) for name in facts.enumerators)
        return Row(
            "enumerator",
            enumerator.name,
            assumed,
            user,
            "no such enumerator",
            DIFFERS if gone else ABSENT,
        )
    same = enumerator.value in (None, value)
    return Row("enumerator", enumerator.name, assumed, user, str(value), SAME if same else DIFFERS)


def _member(member: table.Member, facts: Facts, usage: Usage) -> Row:
    what = f"{member.struct}.{member.name}"
    user = usage.of_member(member.struct, member.port or member.name)
    assumed = member.types[0]
    if member.offset is not None:
        assumed += f" at {member.offset}"
    members = facts.structs.get(member.struct)
    if members is None:
        return Row("member", what, assumed, user, f"no struct {member.struct}", ABSENT)
    real = members.get(member.name)
    if real is None:
        if member.config:
            return Row(
                "member", what, assumed, user, f"no such member, {member.config} brings it", ABSENT
            )
        return Row("member", what, assumed, user, "no such member", DIFFERS)
    found = real.type
    if member.offset is not None:
        found += f" at {real.offset}"
    same = real.type in member.types and member.offset in (None, real.offset)
    return Row("member", what, assumed, user, found, SAME if same else DIFFERS)


def _function(function: table.Function, facts: Facts, usage: Usage) -> Row:
    what = f"{function.names[0]}()"
    assumed = "or ".join(f"{name}() " for name in function.names).rstrip()
    user = next(filter(None, map(usage.of_function, function.names)), "")
    if function.unit not in facts.units:
        return Row("function", what, assumed, user, f"no {function.unit}", ABSENT)
    for name in function.names:
        real = facts.functions.get(name)
        if real:
            how = "inlined" if real.inlined else ""
            how = f"{how}, also out of line" if how and real.code else how or "out of line"
            found = how if name == function.names[0] else f"{name}(), {how}"
            return Row("function", what, assumed, user, found, SAME)
    return Row("function", what, assumed, user, f"none in {function.unit}", DIFFERS)


def _features(facts: Facts) -> Iterator[FeatureRow]:
    for name in FEATURES:
        sign = table.FEATURE_SIGNS.get(name)
        if name == "x86":
            yield FeatureRow(name, facts.machine == table.X86, f"made for {facts.machine}")
        elif sign is None:
            yield FeatureRow(name, None, "nothing in DWARF shows it")
        elif sign.endswith("()"):
            there = sign.removesuffix("()") in facts.functions
            yield FeatureRow(name, there, sign if there else f"no {sign}")
        else:
            owner, _, member = sign.partition(".")
            there = member in facts.structs.get(owner, {})
            yield FeatureRow(name, there, sign if there else f"no {sign}")
