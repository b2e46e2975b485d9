"""What a kernel object's DWARF says: structures, enumerators, functions.

Only what is asked for is read: the entries at the top of each of KVM's units, and the inside of
those with a wanted name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from fuzz.port.elf_object import KernelObject

NOTIFIER_UNIT: Final = "virt/kvm/kvm_main.c"
_POINTERS: Final = {"DW_TAG_pointer_type": " *"}
_PLAIN: Final = ("DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_restrict_type")
_TAGGED: Final = {"structure": "struct", "union": "union", "enumeration": "enum"}


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a structure, as C would write its type."""

    type: str
    offset: int


@dataclass(slots=True)
class Function:
    """A function of KVM.  code: it has code of its own.  inlined: somewhere, it was inlined."""

    unit: str
    code: bool = False
    inlined: bool = False


@dataclass(slots=True)
class Facts:
    """All that was read of one object."""

    machine: str
    producer: str = ""
    units: list[str] = field(default_factory=list)
    others: int = 0  # units of KVM that were not looked into
    structs: dict[str, dict[str, Member]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    enumerators: dict[str, int] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    locals: dict[str, str] = field(default_factory=dict)  # function.variable -> type
    macro_units: list[Any] = field(default_factory=list)  # pyelftools' CUs, for macros.py
    notifier: Any = None  # the unit that holds the notifiers


@dataclass(frozen=True, slots=True)
class Wanted:
    """Names to look for."""

    structs: Collection[str]
    enumerators: Collection[str]
    locals: Collection[str]  # "function.variable"


def read_facts(kernel: KernelObject, wanted: Wanted, progress: Callable[[str], None]) -> Facts:
    """Read the units of KVM; facts.units stays empty when there are none."""
    facts = Facts(kernel.machine)
    for name, unit in kernel.units(progress):
        if not name:
            facts.others += 1
            continue
        top = unit.get_top_DIE()
        facts.producer = facts.producer or text_of(top, "DW_AT_producer")
        facts.units.append(name)
        facts.macro_units.append(unit)
        if name == NOTIFIER_UNIT:
            facts.notifier = unit
        _read_unit(facts, name, unit, wanted)
    return facts


def _read_unit(facts: Facts, name: str, unit: Any, wanted: Wanted) -> None:
    functions = {where.split(".")[0] for where in wanted.locals}
    for die in unit.iter_DIE_children(unit.get_top_DIE()):
        if "DW_AT_declaration" in die.attributes:
            continue
        match die.tag:
            case "DW_TAG_structure_type":
                struct = text_of(die, "DW_AT_name")
                if struct in wanted.structs and struct not in facts.structs:
                    facts.structs[struct] = dict(_members(die, "", 0))
                    facts.sizes[struct] = number_of(die, "DW_AT_byte_size") or 0
            case "DW_TAG_enumeration_type":
                for child in die.iter_children():
                    enumerator = text_of(child, "DW_AT_name")
                    value = number_of(child, "DW_AT_const_value")
                    if enumerator in wanted.enumerators and value is not None:
                        facts.enumerators.setdefault(enumerator, value)
            case "DW_TAG_subprogram":
                function = name_of(die)
                if function:
                    known = facts.functions.setdefault(function, Function(name))
                    known.code |= has_code(die)
                    known.inlined |= number_of(die, "DW_AT_inline") in (1, 3)
                    if function in functions:
                        _read_locals(facts, function, die, wanted)


def _read_locals(facts: Facts, function: str, die: Any, wanted: Wanted) -> None:
    for child in descendants(die):
        if child.tag == "DW_TAG_variable" and "DW_AT_type" in child.attributes:
            where = f"{function}.{text_of(child, 'DW_AT_name')}"
            if where in wanted.locals:
                facts.locals.setdefault(where, type_of(child))


def _members(die: Any, prefix: str, base: int) -> Iterator[tuple[str, Member]]:
    """Members, also those of structures within that have no name of their own: gmem.file."""
    for child in die.iter_children():
        if child.tag != "DW_TAG_member" or "DW_AT_type" not in child.attributes:
            continue
        name = text_of(child, "DW_AT_name")
        offset = base + (number_of(child, "DW_AT_data_member_location") or 0)
        if name:
            yield f"{prefix}{name}", Member(type_of(child), offset)
        target = child.get_DIE_from_attribute("DW_AT_type")
        inside = target.tag in ("DW_TAG_structure_type", "DW_TAG_union_type")
        if inside and "DW_AT_name" not in target.attributes:
            yield from _members(target, f"{prefix}{name}." if name else prefix, offset)


def descendants(die: Any) -> Iterator[Any]:
    """All entries below one."""
    for child in die.iter_children():
        yield child
        if child.has_children:
            yield from descendants(child)


def text_of(die: Any, attribute: str) -> str:
    """An attribute that is a text; empty when there is none."""
    found = die.attributes.get(attribute)
    value = found.value if found else b""
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def number_of(die: Any, attribute: str) -> int | None:
    """An attribute that is a number."""
    found = die.attributes.get(attribute)
    return found.value if found and isinstance(found.value, int) else None


def has_code(die: Any) -> bool:
    """Whether an entry stands for instructions."""
    return "DW_AT_low_pc" in die.attributes or "DW_AT_ranges" in die.attributes


def origin_of(die: Any, attribute: str = "DW_AT_abstract_origin") -> Any:
    """The entry that describes what this one is an instance of, or this one."""
    while attribute in die.attributes:
        die = die.get_DIE_from_attribute(attribute)
        attribute = "DW_AT_abstract_origin"
    return die


def name_of(die: Any) -> str:
    """A function's name, also of an instance that leaves it to its abstract entry."""
    origin = origin_of(die)
    if "DW_AT_name" not in origin.attributes and "DW_AT_specification" in origin.attributes:
        origin = origin.get_DIE_from_attribute("DW_AT_specification")
    return text_of(origin, "DW_AT_name")


def type_of(die: Any) -> str:
    """The type of an entry, as C would write it."""
    if "DW_AT_type" not in die.attributes:
        return "void"
    target = die.get_DIE_from_attribute("DW_AT_type")
    name = text_of(target, "DW_AT_name")
    kind = target.tag.removeprefix("DW_TAG_").removesuffix("_type")
    if target.tag in _POINTERS:
        return type_of(target) + _POINTERS[target.tag]
    if target.tag in _PLAIN:
        return type_of(target)
    if kind in _TAGGED:
        return f"{_TAGGED[kind]} {name}".rstrip()
    if kind == "array":
        sizes = (_length(child) for child in target.iter_children())
        return type_of(target) + "".join(f"[{size}]" for size in sizes)
    return name or "function"


def _length(subrange: Any) -> str:
    count = number_of(subrange, "DW_AT_count")
    last = number_of(subrange, "DW_AT_upper_bound")
    if count is None and last is not None:
        count = last + 1
    return "" if count is None else str(count)
