"""Every program of a small class, in one fixed order.

A class is: slots of given kinds, made by the setup; one actor of each kind, vmm0, vcpu0 and
kthread0; and all ways to give them a number of ops in total, each op on one of the slots.  Pages
are not varied: an op takes the first page of its slot, or all of the slot, of which two pages are
filled, so that there is a neighbour to prefetch.  Of two slots of one kind, the first to be named
in a program is always the one of the lower number: the others are the same programs with the
slots renamed (up to the order in which a walk over both meets them).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement, product
from typing import Final

from fuzz.overlay import load_model
from fuzz.search import execute
from fuzz.text import parse
from fuzz.vocabulary import Actor, Op, Program
from reference.features import Profile

KINDS: Final = ("gmem", "anon", "ordinary")  # guest_memfd, mapped; with anonymous memory; without
ACTORS: Final = ("vmm0", "vcpu0", "kthread0")
SLOTS_MAX: Final = 3
OPS_MAX: Final = 8
_PAGES: Final = 8  # of a slot: as many as a fault can prefetch around
_FILLED: Final = 2  # of them, which user space has written
_AREA: Final = "ABC"

Share = tuple[int, ...]  # how many ops each of ACTORS has
_Menus = tuple[Program, dict[str, list[tuple[int, Op]]]]  # without ops; what each actor can do

# Ops by actor, for slot {n} at gfn {gfn} and user address {hva}; then those of kinds with a file.
_OPS: Final = {
    "vmm0": (
        "set_region slot={n} size=0p",
        "{region}",
        "munmap hva={hva} len=8p",
        "madvise hva={hva} len=8p advice=DONTNEED",
        "user_write hva={hva} value=3",
    ),
    "vcpu0": ("read gfn={gfn}", "write gfn={gfn} value=2"),
    "kthread0": ("reclaim hva={hva}", "migrate hva={hva}", "clear_flush_young hva={hva}"),
}
_FILE_OPS: Final = {
    "vmm0": ("fallocate fd=gmem{n} mode=KEEP_SIZE|PUNCH_HOLE offset=0p len=8p",),
}


@dataclass(frozen=True, slots=True)
class ProgramClass:
    """ops: of the actors together, at most.  kinds: of slots, in each combination once.

    actors: so many have something to do, at least.
    """

    profile: Profile
    ops: int
    slots: int
    kinds: tuple[str, ...] = KINDS
    actors: int = 1

    def __str__(self) -> str:
        name = f"{self.profile} ops={self.ops} slots={self.slots} of {'|'.join(self.kinds)}"
        return name if self.actors == 1 else f"{name} actors={self.actors}"

    def programs(self) -> Iterator[Program]:
        """All of them: fewer ops first."""
        for kinds, share in self._parts():
            yield from _programs(self.profile, kinds, share)

    def count(self) -> int:
        """How many there are, without making each."""
        return sum(_count(kinds, share) for kinds, share in self._parts())

    def drawn(self, number: int, seed: int) -> list[Program]:
        """Some of them, each as likely as any other; one may come twice."""
        rng = random.Random(seed)
        parts = list(self._parts())
        weights = [_count(kinds, share) for kinds, share in parts]
        made: dict[tuple[str, ...], _Menus] = {}
        programs = []
        for kinds, share in rng.choices(parts, weights, k=number):
            if kinds not in made:
                made[kinds] = _ops(self.profile, kinds)
            bare, menus = made[kinds]
            picked: list[tuple[int, Op]] = []
            while not picked or not _canonical(kinds, [n for n, _ in picked]):
                picked = [rng.choice(menu) for menu in _choices(menus, share)]
            programs.append(_program(bare, share, [op for _, op in picked]))
        return programs

    def _parts(self) -> Iterator[tuple[tuple[str, ...], Share]]:
        """What kinds the slots are of, and how many ops each actor has: fewer ops first."""
        for total in range(1, self.ops + 1):
            for kinds in combinations_with_replacement(self.kinds, self.slots):
                for share in _shares(total):
                    if sum(n > 0 for n in share) >= self.actors:
                        yield kinds, share


def _region(kind: str, n: int) -> str:
    flags = "" if kind == "ordinary" else f" flags=GUEST_MEMFD fd=gmem{n}"
    return f"set_region slot={n} gpa={_PAGES * n}p size={_PAGES}p hva={_AREA[n]}{flags}"


def setup_lines(kinds: Sequence[str]) -> list[str]:
    """The setup that makes these slots, with something in them."""
    lines: list[str] = []
    for n, kind in enumerate(kinds):
        hva = _AREA[n]
        if kind != "ordinary":
            lines.append(f"create_gmem fd=gmem{n} size={_PAGES}p")
        backing = f"fd=gmem{n} share=shared" if kind == "gmem" else "share=private"
        lines.append(f"mmap hva={hva} len={_PAGES}p {backing}")
        lines.append(_region(kind, n))
        lines += [f"user_write hva={hva}+{page}p value=1" for page in range(_FILLED)]
    return lines


def _lines(actor: str, kinds: Sequence[str]) -> list[tuple[int, str]]:
    """What an actor can do: the slot, and the op as text."""
    lines: list[tuple[int, str]] = []
    for n, kind in enumerate(kinds):
        names = {"n": n, "gfn": _PAGES * n, "hva": _AREA[n], "region": _region(kind, n)}
        has_file = _FILE_OPS.get(actor, ()) if kind != "ordinary" else ()
        lines += [(n, line.format(**names)) for line in (*_OPS[actor], *has_file)]
    return lines


def _ops(profile: Profile, kinds: Sequence[str]) -> _Menus:
    """The program with the setup alone, and the ops of each actor."""
    menus = {actor: _lines(actor, kinds) for actor in ACTORS}
    lines = ["gmemdiff 1", f"profile: {profile}", "setup:", *setup_lines(kinds)]
    for actor, menu in menus.items():
        lines += [f"{actor}:", *(text for _, text in menu)]
    program = parse("\n".join(lines))
    made = {
        actor.name: [(n, op) for (n, _), op in zip(menus[actor.name], actor.ops, strict=True)]
        for actor in program.actors
    }
    return Program(profile, setup=program.setup), made


def _shares(total: int) -> Iterator[tuple[int, ...]]:
    """All ways to deal `total` ops to the actors."""
    for share in product(range(total + 1), repeat=len(ACTORS)):
        if sum(share) == total:
            yield share


def _choices(menus: dict[str, list[tuple[int, Op]]], share: Share) -> list[list[tuple[int, Op]]]:
    """What each op can be."""
    return [menus[actor] for actor, n in zip(ACTORS, share, strict=True) for _ in range(n)]


def _programs(profile: Profile, kinds: tuple[str, ...], share: Share) -> Iterator[Program]:
    bare, menus = _ops(profile, kinds)
    for picked in product(*_choices(menus, share)):
        if _canonical(kinds, [n for n, _ in picked]):
            yield _program(bare, share, [op for _, op in picked])


def _program(bare: Program, share: Share, picked: Sequence[Op]) -> Program:
    ops = iter(picked)
    actors = tuple(
        Actor(name, tuple(next(ops) for _ in range(n)))
        for name, n in zip(ACTORS, share, strict=True)
        if n
    )
    return replace(bare, actors=actors)


def _canonical(kinds: Sequence[str], named: Sequence[int]) -> bool:
    """Whether slots of one kind are named in their order for the first time."""
    seen: list[int] = []
    for n in named:
        if n not in seen:
            earlier = [m for m in range(n) if kinds[m] == kinds[n]]
            if any(m not in seen for m in earlier):
                return False
            seen.append(n)
    return True


def _count(kinds: tuple[str, ...], share: Share) -> int:
    """How many programs _programs() gives: by the number of slots of each kind named so far."""
    menus = {actor: [n for n, _ in _lines(actor, kinds)] for actor in ACTORS}
    ways: dict[frozenset[int], int] = {frozenset(): 1}
    for actor, n in zip(ACTORS, share, strict=True):
        for _ in range(n):
            after: dict[frozenset[int], int] = {}
            for seen, number in ways.items():
                for slot in menus[actor]:
                    earlier = [m for m in range(slot) if kinds[m] == kinds[slot]]
                    if slot in seen or all(m in seen for m in earlier):
                        key = seen | {slot}
                        after[key] = after.get(key, 0) + number
            ways = after
    return sum(ways.values())


def usable_kinds(profile: Profile) -> tuple[tuple[str, ...], dict[str, str]]:
    """The kinds of slots that a profile can make, and why not the others."""
    refused: dict[str, str] = {}
    for kind in KINDS:
        bare, _ = _ops(profile, (kind,))
        run = execute(load_model("stock"), bare)
        for at, op in enumerate(bare.setup):
            result = run.results.get(("setup", at), "did not end")
            if not result.isdecimal():
                refused[kind] = f"{op.name} of its setup gives {result} on {profile}"
                break
    return tuple(kind for kind in KINDS if kind not in refused), refused
