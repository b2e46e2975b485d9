"""Passes over what ops say: plainer ops, and lower arguments, one by one or together.

What belongs together: the file descriptor that is created, mapped and bound; the addresses of one
area; the length of a file, of its mapping and of its slot.  Lowered one by one, the ops would no
longer fit each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from fuzz import edit
from fuzz.size import FRAMES_PLAIN, plainness
from fuzz.vocabulary import OPS, PAGE, Arg, Op, OpSpec, Program

AREA: Final = 1 << 30
Place = tuple[str | None, int, Op]  # actor (None: setup), index, op

# Ops that make what the others use: nothing plainer does that.
_MAKERS: Final = ("create_gmem", "mmap", "set_region")

# Arguments that name the same sort of thing, by name; all others stand alone.
_TOGETHER: Final = {
    "fd": "fd",
    "slot": "slot",
    "as": "space",
    "gpc": "gpc",
    "value": "value",
    "hva": "hva",
    "with": "hva",
    "to": "hva",
    "gfn": "guest page",
    "gpa": "guest address",
    "size": "length",
    "len": "length",
    "new_len": "length",
    "offset": "offset",
}


def places(program: Program) -> list[Place]:
    """Every op of a program, and where it is."""
    setup: list[Place] = [(None, at, op) for at, op in enumerate(program.setup)]
    return setup + [(a.name, at, op) for a in program.actors for at, op in enumerate(a.ops)]


def plainer_ops(program: Program) -> Iterator[Program]:
    """Replace single ops by plainer ones that take some of the same arguments."""
    before = edit.size(program)
    for name, at, op in places(program):
        if op.name in _MAKERS and name is None:
            continue
        kinds = {"vmm", "kthread"} if name is None else {name.rstrip("0123456789")}
        for spec in sorted(OPS.values(), key=lambda spec: plainness(spec.name)):
            if spec.name in ("nop", op.name) or not kinds & set(spec.actors):
                continue
            for given in _given(op):
                args = _taken(spec, given)
                candidate = (
                    edit.with_op(program, name, at, Op(spec.name, args)) if args else program
                )
                if edit.size(candidate) < before:
                    yield candidate


def _given(op: Op) -> list[dict[str, int]]:
    """The arguments of an op by name; a guest range is its first page, or its last."""
    given = dict(zip([arg.name for arg in OPS[op.name].args], op.args, strict=True))
    if "gpa" not in given or "gfn" in given:
        return [given]
    first, end = given["gpa"] // PAGE, given["gpa"] + given.get("size", PAGE)
    return [{**given, "gfn": page} for page in dict.fromkeys((first, max(0, end - 1) // PAGE))]


def munmap_instead(program: Program) -> Iterator[Program]:
    """Let a VMM thread unmap the memory that a kernel thread's only op is about."""
    munmap = OPS["munmap"]
    used = [actor.name for actor in program.actors]
    free = next(f"vmm{n}" for n in range(len(used) + 1) if f"vmm{n}" not in used)
    for actor in program.actors:
        if actor.kind != "kthread" or len(actor.ops) != 1:
            continue
        args = _taken(munmap, _given(actor.ops[0])[0])
        if args is not None:
            other = edit.with_op(program, actor.name, 0, Op(munmap.name, args))
            yield edit.renamed(other, actor.name, free)


def _taken(spec: OpSpec, given: dict[str, int]) -> tuple[int, ...] | None:
    """Arguments for another op out of those given; None when they are not enough, or none."""
    args: list[int] = []
    for arg in spec.args:
        value = given.get(arg.name, PAGE if arg.name == "len" else arg.default)
        if value is None:
            return None
        args.append(value)
    used = any(arg.name in given for arg in spec.args)
    return tuple(args) if used else None


def lower_arguments(program: Program) -> Iterator[Program]:
    """Replace single arguments by simpler values: the default, the simplest, halfway there."""
    for name, at, op in places(program):
        for index, arg in enumerate(OPS[op.name].args):
            for value in _simpler(arg, op.args[index]):
                args = (*op.args[:index], value, *op.args[index + 1 :])
                yield edit.with_op(program, name, at, replace(op, args=args))


def lower_together(program: Program) -> Iterator[Program]:
    """Replace a value by a simpler one wherever it stands, and move addresses down together."""
    before = edit.size(program)
    used: dict[str, dict[int, Arg]] = {}
    for _, _, op in places(program):
        for arg, value in zip(OPS[op.name].args, op.args, strict=True):
            if arg.name in _TOGETHER:
                used.setdefault(_TOGETHER[arg.name], {}).setdefault(value, arg)
    for sort, values in used.items():
        for value, arg in values.items():
            for lower in _simpler(arg, value):
                candidate = _mapped(program, {sort: {value: lower}})
                if edit.size(candidate) < before:
                    yield candidate
    for candidate in _moved(program, used):
        if edit.size(candidate) < before:
            yield candidate


def _moved(program: Program, used: dict[str, dict[int, Arg]]) -> Iterator[Program]:
    """The program with a whole range of addresses further down."""
    areas = sorted({value // AREA for value in used.get("hva", ()) if value >= AREA})
    for area in areas:
        inside = [value for value in used["hva"] if value // AREA == area]
        lowest = min(inside) - area * AREA
        for target in (*range(1, area), area):
            for down in dict.fromkeys((lowest // PAGE * PAGE, 0)):
                shift = (area - target) * AREA + down
                if shift:
                    yield _mapped(program, {"hva": {v: v - shift for v in inside}})
    yield from _moved_pages(program, used)
    yield from _moved_along(program, used)
    offsets = used.get("offset", {})
    lowest = min(offsets, default=0) // PAGE * PAGE
    if lowest > 0:
        yield _mapped(program, {"offset": {v: v - lowest for v in offsets}})


def _moved_along(program: Program, used: dict[str, dict[int, Arg]]) -> Iterator[Program]:
    """Guest pages and the user pages behind them further down; a slot stays where it starts."""
    gfns, gpas, hvas = (
        sorted(used.get(sort, ())) for sort in ("guest page", "guest address", "hva")
    )
    pages = {*gfns, *(gpa // PAGE for gpa in gpas), *(hva % AREA // PAGE for hva in hvas)}
    lowest = min((page for page in pages if page), default=0)
    for down in dict.fromkeys((lowest // 512 * 512, lowest // 8 * 8, lowest)):
        if down:
            yield _mapped(
                program,
                {
                    "guest page": {v: v - down for v in gfns if v >= down},
                    "guest address": {v: v - down * PAGE for v in gpas if v >= down * PAGE},
                    "hva": {v: v - down * PAGE for v in hvas if v % AREA >= down * PAGE},
                },
            )


def _moved_pages(program: Program, used: dict[str, dict[int, Arg]]) -> Iterator[Program]:
    """The program with guest pages, and guest addresses with them, further down."""
    gfns, gpas = used.get("guest page", {}), used.get("guest address", {})
    pages = sorted({*gfns, *(gpa // PAGE for gpa in gpas)})
    lowest = pages[0] if pages else 0
    # Keep, if possible, what page tables and prefetch make of the place: they are aligned.
    for unit in (512, 8, 1):
        for down in dict.fromkeys((lowest // unit * unit, lowest // 2 // unit * unit)):
            if down:
                yield _mapped(
                    program,
                    {
                        "guest page": {gfn: gfn - down for gfn in gfns},
                        "guest address": {gpa: gpa - down * PAGE for gpa in gpas},
                    },
                )
    for page in pages:
        for lower in dict.fromkeys((0, 1, page // 2, page - 1)):
            if lower < page:
                change = {page * PAGE + rest: lower * PAGE + rest for rest in (0, 1)}
                yield _mapped(program, {"guest page": {page: lower}, "guest address": change})


def _mapped(program: Program, change: dict[str, dict[int, int]]) -> Program:
    """The program with values exchanged wherever an argument of that sort has them."""
    for name, at, op in places(program):
        args = tuple(
            change.get(_TOGETHER.get(arg.name, ""), {}).get(value, value)
            for arg, value in zip(OPS[op.name].args, op.args, strict=True)
        )
        if args != op.args:
            program = edit.with_op(program, name, at, replace(op, args=args))
    return program


def _simpler(arg: Arg, value: int) -> Iterator[int]:
    """Values to try instead of one, all of smaller weight."""
    candidates: list[int] = []
    if arg.default is not None:
        candidates.append(arg.default)
    if arg.kind in ("int", "enum"):
        candidates += [0, 1, value // 2, value - value // 4, value - 1]
    elif arg.kind == "addr":
        candidates += [0, PAGE, *_lower(0, value)]
    elif arg.kind == "hva":
        base = value // AREA * AREA
        candidates += [AREA, base, *_lower(base, value)]
    elif arg.kind == "flags":
        candidates += [value & ~bit for bit in arg.choices.values() if value & bit]
    elif arg.kind == "fd":
        candidates += [0, value - 1]
    weight = edit.argument_weight(arg, value)
    seen: list[int] = []
    for candidate in candidates:
        lighter = (edit.argument_weight(arg, candidate), abs(candidate)) < (weight, abs(value))
        wellformed = candidate >= 0 or candidate == arg.default
        if lighter and wellformed and candidate not in seen:
            seen.append(candidate)
            yield candidate


def _lower(base: int, value: int) -> list[int]:
    """Page-aligned values between base and value: halfway, and one page less when that is near."""
    half = base + (value - base) // 2 // PAGE * PAGE
    near = 0 < value - base <= 16 * PAGE
    return [half, value - PAGE] if near else [half]


def usual_frames(program: Program) -> Iterator[Program]:
    """As many physical pages as programs usually have: then memory does not run out."""
    frames = program.frames
    for candidate in (FRAMES_PLAIN, (frames + FRAMES_PLAIN) // 2):
        if abs(candidate - FRAMES_PLAIN) < abs(frames - FRAMES_PLAIN):
            yield replace(program, frames=candidate)


VALUES: Final = (plainer_ops, munmap_instead, lower_together, lower_arguments, usual_frames)
