"""Bytes to Program: total, and dense.

Total: any bytes give a valid Program.  Dense: nearly all give one whose ops mostly succeed,
because each starts from a layout of memslots, files and mappings worth testing, and each op is
drawn from what the ops before it left (fuzz/tracker.py, fuzz/draws.py).

Bytes are read in the order profile, layout, actors, preemptions, setup, ops; the data's length
gives the number of ops.  So what comes first shapes the rest, and cutting the data shortens it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from fuzz.draws import draw_op, op_table
from fuzz.labels import STEP_LABELS
from fuzz.tracker import EFFECTS, ByteReader, Region, World
from fuzz.vocabulary import (
    ATTR_FLAGS,
    FD_NONE,
    GMEM_FLAGS,
    MEM_FLAGS,
    PAGE,
    Actor,
    Op,
    Preemption,
    Program,
    area_base,
)
from reference.features import PROFILES, Profile

BYTES_PER_OP: Final = 6
OPS_MIN: Final = 2
OPS_MAX: Final = 24
# About what the parts before the ops take: see random_program().
HEAD_BYTES: Final = 32

_A: Final = area_base("A") // PAGE
_B: Final = area_base("B") // PAGE
_GUEST_MEMFD: Final = MEM_FLAGS["GUEST_MEMFD"]
_ALIAS_GFN: Final = 0x400  # where slots that lay beside the layout start
_KTHREADS: Final = (0, 1, 1, 2)
_PREEMPTIONS: Final = (0, 1, 1, 2, 2, 3, 3, 4)
# One setup in sixteen has an allocation that will fail: its own, or the first of the actors'.
FAILING: Final = 0xF8
FAILING_EARLY: Final = 0xF0
FAILING_LATE: Final = 0xF8
FAILING_WHAT: Final = 7  # bits, of which FAILURES
_FRAMES: Final = (64, 64, 64, 64, 64, 64, 128, 24)


class _Setup:
    """Writes setup ops, and lets the tracker follow them."""

    def __init__(self, world: World) -> None:
        byte = world.reader.byte()
        self.world = world
        self.ops: list[Op] = []
        self.pages = 8 + byte % 9
        # A layout across two page tables every now and then, in the guest or in the host.
        self.gfn = (0, 16, 0, 508)[byte >> 4 & 3]
        self.page = _A + (0, 0, 0, 508)[byte >> 6]

    def do(self, name: str, args: tuple[int, ...]) -> None:
        """Add an op."""
        self.ops.append(Op(name, args))
        effect = EFFECTS.get(name)
        if effect:
            effect(self.world, args)

    def file(self, pages: int) -> None:
        """Make the one file of a layout."""
        self.do("create_gmem", (0, pages * PAGE, self.world.gmem_flags))

    def map_file(self, page: int, pages: int, offset: int = 0) -> None:
        """Map the file."""
        self.do("mmap", (page * PAGE, pages * PAGE, 0, offset * PAGE, 3, 1))

    def map_anon(self, page: int, pages: int) -> None:
        """Map anonymous memory."""
        self.do("mmap", (page * PAGE, pages * PAGE, FD_NONE, 0, 3, 0))

    def gmem_slot(self, page: int, gfn: int, offset: int = 0, slot: int = 0) -> None:
        """Make a slot of the layout's size, backed by the file."""
        region = Region(slot, gfn, self.pages, page, _GUEST_MEMFD, 0, offset)
        self.do("set_region", region.args())

    def plain_slot(self, page: int, gfn: int, slot: int = 0, flags: int = 0) -> None:
        """Make a slot of the layout's size, backed by what is mapped at page."""
        self.do("set_region", Region(slot, gfn, self.pages, page, flags).args())


# Layouts: what the slots are backed by, and what their user addresses map.


def _own_file(s: _Setup) -> None:
    """A gmem-only slot whose user address maps the same file; perhaps not from its start."""
    offset = s.world.reader.byte() & 3
    s.file(s.pages + offset)
    s.map_file(s.page, s.pages, offset)
    s.gmem_slot(s.page, s.gfn, offset)


def _other_memory(s: _Setup) -> None:
    """A gmem-only slot whose user address maps anonymous memory."""
    s.file(s.pages)
    s.map_anon(s.page, s.pages)
    s.gmem_slot(s.page, s.gfn)


def _ordinary(s: _Setup) -> None:
    """An ordinary slot."""
    s.map_anon(s.page, s.pages)
    s.plain_slot(s.page, s.gfn)


def _neighbours(s: _Setup) -> None:
    """A gmem-only and an ordinary slot side by side, at overlapping or adjacent addresses."""
    byte = s.world.reader.byte()
    s.file(s.pages)
    s.map_file(s.page, s.pages)
    shift = s.pages if byte & 1 else (byte >> 1) % s.pages
    end = s.page + s.pages
    if shift:
        s.map_anon(end, shift)
    first, second = (s.gfn, s.gfn + s.pages) if byte & 0x80 else (s.gfn + s.pages, s.gfn)
    s.gmem_slot(s.page, first)
    s.plain_slot(s.page + shift, second, slot=1)


def _hole(s: _Setup) -> None:
    """A gmem-only slot whose user address maps nothing; the file is mapped elsewhere."""
    s.file(s.pages)
    s.map_file(_B, s.pages)
    s.gmem_slot(s.page, s.gfn)


def _two_ranges(s: _Setup) -> None:
    """Two gmem-only slots on two ranges of one file, at overlapping addresses."""
    byte = s.world.reader.byte()
    s.file(2 * s.pages)
    s.map_file(s.page, 2 * s.pages)
    s.gmem_slot(s.page, s.gfn)
    s.gmem_slot(s.page + byte % (s.pages + 1), s.gfn + s.pages, s.pages, slot=1)


def _private(s: _Setup) -> None:
    """A slot with a file that cannot be mapped, for private pages; some are made private."""
    if not s.world.private:
        _own_file(s)
        return
    s.do("create_gmem", (0, s.pages * PAGE, 0))
    s.map_anon(s.page, s.pages)
    s.gmem_slot(s.page, s.gfn)
    pages = 1 + s.world.reader.byte() % s.pages
    s.do("set_attributes", (s.gfn * PAGE, pages * PAGE, ATTR_FLAGS["PRIVATE"], 0))


def _logged(s: _Setup) -> None:
    """An ordinary slot whose writes are logged."""
    s.map_anon(s.page, s.pages)
    s.plain_slot(s.page, s.gfn, flags=MEM_FLAGS["LOG_DIRTY"])


def _read_only(s: _Setup) -> None:
    """An ordinary slot that the guest cannot write."""
    s.map_anon(s.page, s.pages)
    s.plain_slot(s.page, s.gfn, flags=MEM_FLAGS["READONLY"])


# As often as they stand here; zeros give the first.
LAYOUTS: Final[tuple[Callable[[_Setup], None], ...]] = (
    *(_own_file,) * 5,
    *(_other_memory,) * 2,
    *(_neighbours,) * 3,
    *(_two_ranges,) * 2,
    _ordinary,
    _hole,
    _logged,
    _read_only,
    _private,
)


def _slot_of_smm(s: _Setup, first: Region) -> None:
    """A gmem-only slot that SMM alone sees, on a file of its own, at the addresses of another."""
    fd = len(s.world.files)
    s.do("create_gmem", (fd, s.pages * PAGE, s.world.gmem_flags))
    bound = first._replace(flags=_GUEST_MEMFD, fd=fd, offset=0, space=1)
    s.do("set_region", bound.args())


def _extras(s: _Setup, has_smm: bool) -> None:
    """What may lie around a layout: other mappings, an alias, pages already there."""
    byte = s.world.reader.byte()
    mapped = [file for file in s.world.files if file.flags & GMEM_FLAGS["MMAP"]]
    if byte & 3 == 3 and mapped:
        s.map_file(_B, min(s.pages, mapped[0].pages))
    if byte & 0x0C == 0x0C:
        s.map_anon(s.page + 2 * s.pages, 4)
    if byte & 0x30 == 0x30:
        s.map_anon(s.page + s.pages // 2, 1 + (byte & 1))
    elif byte & 0x30 == 0x20:
        s.do("munmap", ((s.page + s.pages // 2) * PAGE, PAGE))
    if byte & 0xF0 == 0xC0:
        s.plain_slot(s.page, _ALIAS_GFN, slot=2)
    first = (s.world.regions or s.world.graves)[0]
    if byte & 0xF0 == 0xE0 and has_smm:
        _slot_of_smm(s, first)
    if byte & 0xF0 == 0xD0 and has_smm:
        bound = first._replace(flags=0, fd=FD_NONE, offset=0) if first.is_gmem else first
        s.do("set_region", bound._replace(space=1).args())
    areas = s.world.touchable()
    for _ in range(_KTHREADS[byte & 3] if areas else 0):
        area = s.world.reader.pick(areas)
        hva = (area.page + s.world.reader.page(area.pages)) * PAGE
        again = byte & 0x40 and s.world.value  # equal pages are what KSM looks for
        s.do("user_write", (hva, s.world.value if again else s.world.fresh_value()))


def draw_setup(world: World, place: int) -> tuple[Op, ...]:
    """Draw a layout, the one that the byte `place` stands for, and what lies around it."""
    setup = _Setup(world)
    failing = world.reader.byte()
    if failing & FAILING == FAILING_EARLY:
        setup.do("fail_next", (failing & FAILING_WHAT,))
    LAYOUTS[place % len(LAYOUTS)](setup)
    _extras(setup, has_smm=world.profile.has("x86") and not world.private)
    if failing & FAILING == FAILING_LATE:
        setup.do("fail_next", (failing & FAILING_WHAT,))
    return tuple(setup.ops)


def _draw_actors(world: World, vm: str, shape: int, count: int) -> tuple[Actor, ...]:
    """Draw `count` ops, turn by turn, which is about the order they will run in.

    Bits of `shape`: 1 a second VMM thread, 2 a second vCPU, 4 and 8 kernel threads, and who
    gets an additional turn.
    """
    names = ["vmm0", "vcpu0"]
    names += ["vcpu1"] if shape & 2 else []
    names += ["vmm1"] if shape & 1 else []
    names += [f"kthread{number}" for number in range(_KTHREADS[shape >> 2 & 3])]
    tables = {kind: op_table(kind, world.profile, vm) for kind in ("vmm", "vcpu", "kthread")}
    ops: list[list[Op]] = [[] for _ in names]
    turns = [*range(len(names)), *([(shape >> 4) % len(names)] if shape >= 64 else [])]
    kinds = [tables[name.rstrip("0123456789")] for name in names]
    for number in range(count):
        turn = turns[number % len(turns)]
        ops[turn].append(draw_op(world, kinds[turn]))
    for actor_ops in ops:
        for at, op in enumerate(actor_ops[:-1]):
            if op.name == "exit_mm":  # it ends everything, so only at the end
                actor_ops[at] = Op("oom_reap")
    return tuple([Actor(name, tuple(done)) for name, done in zip(names, ops, strict=True)])


def _schedule(actors: tuple[Actor, ...], raw: list[tuple[int, ...]]) -> tuple[Preemption, ...]:
    """Turn four bytes each into preemptions at labels that the preempted op has."""
    places = [
        (actor.name, at, STEP_LABELS[op.name])
        for actor in actors
        for at, op in enumerate(actor.ops)
        if STEP_LABELS.get(op.name)
    ]
    out: dict[tuple[str, int, str, int], Preemption] = {}
    for high, low, label_byte, to_byte in raw if places else []:
        name, at, labels = places[(high << 8 | low) % len(places)]
        label = labels[label_byte % len(labels)]
        occurrence = max(1, (to_byte >> 4) - 12)  # 1, rarely 2 or 3
        others = [actor.name for actor in actors if actor.name != name]
        to = others[(to_byte & 15) % len(others)]
        out.setdefault((name, at, label, occurrence), Preemption(name, at, label, occurrence, to))
    return tuple(out.values())


def decode(data: bytes, profile: Profile | None = None, ops: int | None = None) -> Program:
    """Any bytes to a valid Program; `profile` and `ops`, the number of actor ops, are forced."""
    reader = ByteReader(data)
    drawn = PROFILES[reader.byte() % len(PROFILES)]
    profile = profile or drawn
    if ops is None:
        ops = max(OPS_MIN, min(OPS_MAX, len(data) // BYTES_PER_OP))
    place, shape, count = reader.byte(), reader.byte(), reader.byte()
    raw = [tuple([reader.byte() for _ in range(4)]) for _ in range(_PREEMPTIONS[count & 7])]
    private = LAYOUTS[place % len(LAYOUTS)] is _private or place >= 248
    vm = "sw-protected" if private and profile.has("sw_protected_vm") else "default"
    world = World(profile, vm, reader)
    setup = draw_setup(world, place)
    actors = _draw_actors(world, vm, shape, ops)
    return Program(
        profile=profile,
        setup=setup,
        actors=actors,
        schedule=_schedule(actors, raw),
        vm=vm,
        vcpus=2 if shape & 2 else 1,
        frames=_FRAMES[count >> 5],
    )


def random_program(
    rng: random.Random,
    profile: Profile | None = None,
    ops_min: int = 4,
    ops_max: int = OPS_MAX,
) -> Program:
    """A Program of random bytes, enough of them that no op is drawn from padding."""
    ops = rng.randint(ops_min, ops_max)
    return decode(rng.randbytes(HEAD_BYTES + 8 * ops), profile, ops)
