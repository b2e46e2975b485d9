"""Where the port uses a name: the functions of reference/c/ and the lines that they span."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_HEAD: Final = re.compile(r"^(?:static |inline )*[a-z][\w ]*[ *](\w+)\(")
_WORD: Final = re.compile(r"\w+")
# Where to look first: the files that a patch to KVM's common code changes.
_FIRST: Final = ("kvm_main.c", "guest_memfd.c", "pfncache.c", "fault_x86.c", "mmu_zap.c", "vcpu.c")
# How the port calls a pointer to each structure.
HOLDERS: Final = {
    "kvm": r"kvm",
    "kvm_memslots": r"slots|set|memslots(?:\[\w+\])?",
    "kvm_memory_slot": r"slot|old|new|invalid_slot|iter\.slot",
    "kvm_gfn_range": r"range|gfn_range",
    "kvm_mmu_notifier_range": r"range|hva_range",
    "kvm_userspace_memory_region2": r"mem",
    "gfn_to_pfn_cache": r"gpc",
    "kvm_page_fault": r"fault",
}


@dataclass(frozen=True, slots=True)
class Body:
    """One function of the port: where it stands, its text, and the words in it."""

    file: str
    name: str
    text: str
    words: frozenset[str]

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"


class Usage:
    """The functions of the port, to be asked who relies on what."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        rank = {name: number for number, name in enumerate(_FIRST)}
        files = sorted(sources, key=lambda name: (name.endswith(".h"), rank.get(name, 99), name))
        self._bodies = [body for file in files for body in _bodies(file, sources[file])]

    def of_name(self, name: str) -> str:
        """The first function that mentions a constant; empty when none does."""
        return self._first(re.compile(rf"\b{name}\b"), name)

    def of_member(self, struct: str, member: str) -> str:
        """The first function that uses a member of a structure."""
        holder, arrow, name = member.rpartition("->")
        if arrow:  # what stands for it in another structure
            return self._first(re.compile(rf"\b{holder}->{name}\b"), name)
        holder = HOLDERS[struct]
        access = rf"\b(?:{holder})(?:->|\.){member}\b|\.{member} =|&\w+->{member}\b"
        return self._first(re.compile(access), member, struct)

    def of_function(self, name: str) -> str:
        """Where the port's function of this name is; empty when it has none."""
        return next((str(body) for body in self._bodies if body.name == name), "")

    def _first(self, pattern: re.Pattern[str], word: str, mentioning: str = "") -> str:
        """The first function with a match, if possible one that names this structure."""
        found = (b for b in self._bodies if word in b.words and pattern.search(b.text))
        first = None
        for body in found:
            if not mentioning or f"struct {mentioning} " in body.text:
                return str(body)
            first = first or body
        return str(first or "")


def _bodies(file: str, text: str) -> Iterator[Body]:
    """Functions begin in column 0 and end with a brace in column 0, which is house style."""
    lines: list[str] = []
    name = ""
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head and not name:
            name, lines = head[1], []
        if not name:
            continue
        lines.append(line)
        if line == "}":
            body = "\n".join(lines)
            yield Body(file, name, body, frozenset(_WORD.findall(body)))
            name = ""
        elif line.endswith(";") and not any(part.startswith("{") for part in lines):
            name = ""  # a prototype
