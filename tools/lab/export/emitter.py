"""What collects, while ops become C, all that the file must define for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from fuzz.vocabulary import FD_BAD, FD_FILE, FD_FOREIGN, FD_NONE, Program
from tools.lab.export import values
from tools.lab.export.errors import NotExpressibleError

SLOTS_OWN: Final = 32000  # the reproducer's own memslots
GPCS_MAX: Final = 3
GFN_OWN: Final = 0xD0000  # and where they are
GFN_SHADOW_MAX: Final = 1024  # what its one page table covers

# An expression, or with it locals and lines before it.
Made = str | tuple[list[str], list[str], str]


@dataclass(slots=True)
class Emitter:
    """Turns ops into C; remembers what that needs.

    needs: names of helpers and fallbacks.  constants: macros that old headers lack.
    areas: letters of the areas in use.
    """

    program: Program
    needs: set[str] = field(default_factory=set)
    constants: dict[str, str] = field(default_factory=dict)
    areas: set[str] = field(default_factory=set)
    gmems: int = 0
    gpcs: int = 0

    def hva(self, value: int) -> str:
        """A user address; its area will be defined."""
        letter = values.area_of(value)
        if letter:
            self.areas.add(letter)
        return values.hva(value)

    def pointer(self, value: int) -> str:
        """The same as a pointer."""
        text = self.hva(value)
        return f"(void *)({text})" if " " in text else f"(void *){text}"

    def need(self, *names: str) -> None:
        """Helpers that the expression at hand calls."""
        self.needs.update(names)

    def gmem(self, number: int) -> str:
        """An element of vm->gmem."""
        self.gmems = max(self.gmems, number + 1)
        return f"vm->gmem[{number}]"

    def fd(self, number: int) -> str:
        """Any descriptor that an op can name."""
        if number == FD_FILE:
            self.need("plain")
            return "vm->plain"
        if number == FD_FOREIGN:
            self.need("foreign")
            return "vm->foreign"
        return {FD_NONE: "0", FD_BAD: "-1"}.get(number) or self.gmem(number)

    def gfn(self, number: int) -> str:
        """A guest page that the guest can reach.  Raises NotExpressibleError."""
        shadow = self.program.profile.mmu == "x86-shadow"
        if number >= (GFN_SHADOW_MAX if shadow else GFN_OWN):
            raise NotExpressibleError(f"gfn {number:#x}: beyond what the guest's page tables cover")
        return f"{number:#x}"
