"""Bytes to one op that mostly succeeds.

The one idea: an argument is drawn by its name, from what the tracker says exists; a few ops
whose arguments belong together have a function of their own.  One op in sixteen then gets one
argument spoilt, and may answer with any error.  Ops added to the vocabulary are drawn without
a change here, rarely; WEIGHTS makes them common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Final, TypeAlias

from fuzz.tracker import EFFECTS, FREE_PAGE, Region, World
from fuzz.vocabulary import (
    ADVICE,
    FALLOC_FLAGS,
    FD_NAMES,
    FD_NONE,
    GMEM_FLAGS,
    MAP_KINDS,
    MEM_FLAGS,
    OPS,
    PAGE,
    Arg,
    Op,
    area_base,
)
from reference.features import Profile

Args: TypeAlias = tuple[int, ...]

REGIONS_MAX: Final = 4
RARE: Final = 2  # weight of ops that WEIGHTS does not list
ABSENT: Final = 1  # weight of ops that answer with an error on this profile
HOSTILE: Final = 240  # bytes from here on spoil an argument

WEIGHTS: Final = {
    # vmm
    "set_region": 38,
    "set_region1": 5,
    "mprotect": 16,
    "munmap": 14,
    "madvise": 20,
    "fallocate": 20,
    "mmap": 18,
    "user_write": 18,
    "user_read": 8,
    "mremap": 7,
    "mbind": 6,
    "uffd_wp": 5,
    "pagemap_scan": 4,
    "mlock": 3,
    "move_pages": 7,
    "get_dirty_log": 7,
    "clear_dirty_log": 4,
    "set_attributes": 8,
    # vcpu
    "read": 60,
    "write": 60,
    "guest_flush": 6,
    "pre_fault": 12,
    "kvm_read": 6,
    "kvm_write": 10,
    "gpc_activate": 6,
    "gpc_activate_hva": 4,
    "gpc_refresh": 14,
    "gpc_read": 14,
    "gpc_write": 14,
    "gpc_deactivate": 5,
    # kthread
    "numa_scan": 36,
    "migrate": 24,
    "compact": 8,
    "reclaim": 14,
    "ksm": 6,
    "memory_failure": 3,
    "gmem_failure": 3,
    "clear_young": 14,
    "test_young": 8,
    "clear_flush_young": 12,
    "exit_mm": 1,
    # any
    "fail_next": 5,
    "nop": 1,
}
_FEATURE: Final = {"pre_fault": "pre_fault"} | {op: "gpc" for op in OPS if op.startswith("gpc_")}
_CACHE_USERS: Final = ("gpc_refresh", "gpc_read", "gpc_write", "gpc_deactivate")
_LOG_USERS: Final = ("get_dirty_log", "clear_dirty_log")
_PUNCH: Final = FALLOC_FLAGS["KEEP_SIZE"] | FALLOC_FLAGS["PUNCH_HOLE"]
_DONTNEED: Final = ADVICE.index("DONTNEED")
_SHARED: Final = MAP_KINDS.index("shared")
_LOG_DIRTY: Final = MEM_FLAGS["LOG_DIRTY"]
_EDGES: Final = (0, 1, PAGE - 1, PAGE, 1 << 31, 1 << 32, 1 << 47, 1 << 63, -PAGE % (1 << 64))
_LAST: Final = (1 << 64) - 1


@cache
def op_table(kind: str, profile: Profile, vm: str) -> tuple[str, ...]:
    """Op names of an actor kind, each as often as it weighs; the first is drawn by zeros."""
    names: list[str] = []
    for name, spec in OPS.items():
        if kind in spec.actors:
            absent = name in _FEATURE and not profile.has(_FEATURE[name])
            absent |= name == "set_attributes" and vm == "default"
            names += [name] * (ABSENT if absent else WEIGHTS.get(name, RARE))
    assert len(names) <= 256, f"one byte cannot reach all {len(names)} entries of {kind}"
    simplest = {"vmm": "set_region", "vcpu": "read", "kthread": "numa_scan"}[kind]
    start = names.index(simplest)
    return tuple(names[start:] + names[:start])


def draw_op(world: World, kind_ops: tuple[str, ...]) -> Op:
    """Draw one op, and let the tracker follow it."""
    reader = world.reader
    name = kind_ops[(reader.byte() * len(kind_ops)) >> 8]
    if name in _CACHE_USERS and not world.caches:
        name = "gpc_activate"
    if name in _LOG_USERS and not world.logged():
        return _start_logging(world)
    whole = WHOLE.get(name)
    args = whole(world) if whole else tuple([draw(world) for draw in DRAWS[name]])
    if args and reader.byte() >= HOSTILE:
        return Op(name, spoil(world, OPS[name].args, args))
    effect = EFFECTS.get(name)
    if effect:
        effect(world, args)
    return Op(name, args)


def _start_logging(world: World) -> Op:
    """What has to come before the dirty log of a slot can be asked for."""
    plain = [region for region in world.regions if not region.is_gmem and not region.space]
    if not plain:
        return Op("user_read", (world.hva(),))
    region = world.reader.pick(plain)
    args = region._replace(flags=region.flags | _LOG_DIRTY).args()
    EFFECTS["set_region"](world, args)
    return Op("set_region", args)


def spoil(world: World, specs: tuple[Arg, ...], args: Args) -> Args:
    """Replace one argument by something hostile."""
    at = world.reader.byte() % len(args)
    value = _hostile(world, specs[at])
    return (*args[:at], value, *args[at + 1 :])


def _hostile(world: World, arg: Arg) -> int:
    byte = world.reader.byte()
    if arg.kind == "enum":
        return byte % len(arg.names)
    if arg.kind == "fd":
        return (*FD_NAMES, 7)[byte % (len(FD_NAMES) + 1)]
    if arg.kind == "flags":
        return _LAST if byte == 255 else byte
    if arg.kind == "hva" and byte & 1:
        return area_base("H") + (byte >> 1) * PAGE + (byte >> 1 & 1)
    if arg.name in ("l2", "smm", "async", "gpc"):  # the model's own names, not part of an ABI
        return byte & (3 if arg.name == "gpc" else 1)
    if byte & 1 or arg.name == "value":
        return byte
    return _EDGES[(byte >> 1) % len(_EDGES)]


# Ops whose arguments belong together.


def _set_region(world: World) -> Args:
    """Delete, make again, change, or make anew; deletions and re-creations are most."""
    byte = world.reader.byte()
    regions = world.regions
    if world.graves and (byte & 1 or not regions):
        return _again(world).args()
    if not regions or (byte & 0xE0 == 0xE0 and len(regions) < REGIONS_MAX):
        return _anew(world, byte).args()
    region = world.reader.pick(regions)
    if not region.is_gmem and byte & 0x18 == 0x18:
        return region._replace(flags=region.flags ^ _LOG_DIRTY).args()
    if not region.is_gmem and byte & 0x18 == 0x10:
        return region._replace(gfn=region.gfn ^ 32).args()
    return region._replace(pages=0).args()


def _again(world: World) -> Region:
    """A deleted slot, five times in eight as it was."""
    region = world.reader.pick(world.graves)
    byte = world.reader.byte()
    if byte % 8 == 5 and world.areas:
        return region._replace(page=world.areas[(byte >> 3) % len(world.areas)].page)
    if byte % 8 == 6 and region.is_gmem and world.files:
        file = world.files[(byte >> 3) % len(world.files)]
        pages = min(region.pages, file.pages)
        return region._replace(fd=file.fd, pages=pages, offset=file.pages - pages)
    if byte % 8 == 7:
        return region._replace(gfn=region.gfn + 1)
    return region


def _anew(world: World, byte: int) -> Region:
    """A slot behind all others, on memory that is mapped; of its file when that is possible."""
    used = [region.slot for region in world.regions + world.graves]
    slot = next(number for number in range(len(used) + 1) if number not in used)
    gfn = max((region.gfn + region.pages for region in world.regions), default=0)
    if not world.areas:
        return Region(slot, gfn, 8, FREE_PAGE)
    area = world.reader.pick(world.areas)
    bound = any(region.fd == area.fd and region.is_gmem for region in world.regions)
    is_open = any(file.fd == area.fd for file in world.files)
    if is_open and not bound and byte & 2:
        flags = MEM_FLAGS["GUEST_MEMFD"]
        return Region(slot, gfn, area.pages, area.page, flags, area.fd, area.offset)
    return Region(slot, gfn, area.pages, area.page)


def _set_region1(world: World) -> Args:
    """As set_region; of gmem slots the first version can only delete."""
    args = _set_region(world)
    if args[4] & MEM_FLAGS["GUEST_MEMFD"]:
        return (args[0], 0, 0, 0, 0, args[7])
    return (*args[:5], args[7])


def _mmap(world: World) -> Args:
    """Map where a slot has its memory: its own file, or something else."""
    byte = world.reader.byte()
    region = world.region()
    page = world.reader.page(region.pages)
    world.room = region.pages - page
    length = world.length()
    prot = 1 if byte >= 224 else 3
    hva = (region.page + page) * PAGE
    fd, offset = region.fd, region.offset + page
    if byte & 1:
        other = region.fd < 0 and bool(world.files)
        fd, offset = (world.files[0].fd, 0) if other else (FD_NONE, 0)
    mappable = [file.fd for file in world.files if file.flags & GMEM_FLAGS["MMAP"]]
    if fd not in mappable:
        return (hva, length, FD_NONE, 0, prot, 0)
    return (hva, length, fd, offset * PAGE, prot, _SHARED)


def _mremap(world: World) -> Args:
    """Shrink by a page, or move to free addresses or into a slot's."""
    byte = world.reader.byte()
    hva = world.hva()
    length = world.length()
    if length > PAGE and byte & 1:
        return (hva, length, length - PAGE, 0)
    to = (world.region().page if byte & 2 else FREE_PAGE + (byte >> 2)) * PAGE
    if hva <= to < hva + length or to <= hva < to + length:  # overlapping moves are refused
        to = (FREE_PAGE + 512) * PAGE
    return (hva, length, length, to)


def _create_gmem(world: World) -> Args:
    used = [file.fd for file in world.files]
    fd = next((number for number in range(8) if number not in used), 7)
    return (fd, (4 + world.reader.byte() % 13) * PAGE, world.gmem_flags)


def _clear_dirty_log(world: World) -> Args:
    region = world.reader.pick(world.logged() or [world.region()])
    return (region.slot, 0, region.pages, world.reader.byte() | 1, region.space)


def _get_dirty_log(world: World) -> Args:
    region = world.reader.pick(world.logged() or [world.region()])
    return (region.slot, region.space)


def _ksm(world: World) -> Args:
    """Two pages with one value, or two of one anonymous area."""
    byte = world.reader.byte()
    equal = [
        (one, two)
        for one, value in world.present.items()
        for two, other in world.present.items()
        if one < two and value == other
    ]
    if equal and byte < 224:
        one, two = equal[byte % len(equal)]
        return (one * PAGE, two * PAGE)
    areas = [area for area in world.areas if area.fd == FD_NONE]
    if not areas:
        return (world.hva(), world.hva())
    area = world.reader.pick(areas)
    one, two = world.reader.page(area.pages), world.reader.page(area.pages)
    two = two if one != two else (two + 1) % area.pages
    return ((area.page + one) * PAGE, (area.page + two) * PAGE)


def _user_write(world: World) -> Args:
    """Store where a store is allowed, if there is such a place."""
    areas = [area for area in world.touchable() if area.prot & 2]
    if not areas:
        return (world.hva(), world.fresh_value())
    area = world.reader.pick(areas)
    hva = (area.page + world.reader.page(area.pages)) * PAGE
    again = world.reader.byte() >= 192 and world.value  # equal pages are what KSM looks for
    return (hva, world.value if again else world.fresh_value())


WHOLE: Final[dict[str, Callable[[World], Args]]] = {
    "set_region": _set_region,
    "set_region1": _set_region1,
    "mmap": _mmap,
    "mremap": _mremap,
    "create_gmem": _create_gmem,
    "clear_dirty_log": _clear_dirty_log,
    "get_dirty_log": _get_dirty_log,
    "ksm": _ksm,
    "user_write": _user_write,
}

# Everything else is drawn argument by argument.
Draw: TypeAlias = Callable[[World], int]
_BY_NAME: Final[dict[str, Draw]] = {
    "gfn": World.gfn,
    "gpa": World.gpa,
    "hva": World.hva,
    "with": World.hva,
    "to": World.hva,
    "fd": World.fd,
    "offset": World.offset,
    "len": World.length,
    "new_len": World.length,
    "size": World.length,
    "slot": World.slot,
    "as": World.same_space,
    "smm": World.same_space,
    "l2": World.nested,
    "gpc": World.cache,
    "value": World.fresh_value,
}
_BY_CHOICE: Final = {
    ("fallocate", "mode"): (_PUNCH, _PUNCH, _PUNCH, FALLOC_FLAGS["KEEP_SIZE"]),
    ("mprotect", "prot"): (1, 3, 1, 0, 3, 1),
    ("madvise", "advice"): (_DONTNEED,) * len(ADVICE) + tuple(range(len(ADVICE))),
    ("set_attributes", "attrs"): (8, 0),
    ("uffd_wp", "async"): (0, 1),
}


# Ops that do something only where the VMM has a page.
_PAGE_OPS: Final = frozenset(
    {
        "move_pages",
        "migrate",
        "compact",
        "reclaim",
        "memory_failure",
        "clear_young",
        "test_young",
        "clear_flush_young",
    }
)


def _chooser(choices: tuple[int, ...]) -> Draw:
    return lambda world: world.reader.pick(choices)


def _draws(name: str) -> Iterator[Draw]:
    for arg in OPS[name].args:
        if name in _PAGE_OPS and arg.name == "hva":
            yield World.present_hva
        elif (name, arg.name) in _BY_CHOICE:
            yield _chooser(_BY_CHOICE[name, arg.name])
        elif name.startswith("gpc_activate") and arg.name == "gpc":
            yield World.new_cache
        elif arg.name in _BY_NAME:
            yield _BY_NAME[arg.name]
        elif arg.kind == "enum":
            yield _chooser(tuple(range(len(arg.names))))
        else:
            yield _chooser((arg.default or 0,))


DRAWS: Final = {name: tuple(_draws(name)) for name in OPS}
