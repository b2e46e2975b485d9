"""Which observation shows the broken rule, and what each side should show.

A check is something that a program can see from outside the kernel and that must hold.  It is
made from what the models say: where a leaf should not be, what a guest must not read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fuzz.execution import End
from fuzz.finding import Kind
from fuzz.judge import REFERENCE_ONLY, STUCK_RULES
from fuzz.overlay import Model
from fuzz.report import op_lines
from fuzz.rules import EXPLAINED
from fuzz.tolerance import promised
from fuzz.vocabulary import PAGE, Program
from tools.lab.case import Turn
from tools.lab.export import values
from tools.lab.export.errors import NotExpressibleError
from tools.lab.export.observe import (
    FOREIGN,
    FREED,
    POISONED,
    UNMAPPED,
    UNSLOTTED,
    BadLeaf,
    Observed,
    Seen,
)

RESULTS: Final = "results"  # every step's result is one that must hold
STEP: Final = "step"  # one step's result, which would show the rule broken
LEAVES: Final = "leaves"  # pages_4k counts no leaf beyond the good ones
STRANGER: Final = "stranger"  # the guest does not read another process's memory
BACKING: Final = "backing"  # what the guest writes is what the file holds
CACHE: Final = "cache"  # what KVM writes through a pfn cache does not land with a stranger
POISON: Final = "poison"  # the guest does not read the poisoned page
LOG: Final = "log"  # the kernel's log has no WARNING, BUG or Oops
PROGRESS: Final = "progress"  # every step comes back

# Rules, and what is wrong with the translations that show them broken.
_WRONG: Final[dict[str, tuple[str, ...]]] = {
    "stale-spte": (FREED,),
    "truncate-before-zap": (FREED, FOREIGN),
    "use-after-free": (FREED,),
    "stale-install": (FREED, UNMAPPED),
    "unflushed-range": (FREED, UNMAPPED),
    "deleted-slot-spte": (UNSLOTTED, FREED),
    "poisoned-mapped": (POISONED,),
    "gmem-backing": (FOREIGN,),
}
# What of a result shows a rule broken that is about contents.
_TOLD_BY_RESULTS: Final = frozenset({
    "equivalence", "use-after-free", "lost-dirty", "gmem-backing", "gmem-permission",
    "unbound-pfn", "young-lost",
})  # fmt: skip
_TOLD_BY_LOG: Final = frozenset({"warn", "bug"})


@dataclass(frozen=True, slots=True)
class Check:
    """One test of the C program.

    holds: what must be so, as the KTAP line says it.  rule: the broken rule that it shows; empty
    for those that are always made.  at: number of the turn after which it is made, -1 for the
    end.  limit: of LEAVES, how many leaves there may be.  fails: on the reference, on the patched
    side, as the models say.
    """

    kind: str
    holds: str
    rule: str
    fails: tuple[bool, bool]
    at: int = -1
    limit: int = 0
    gpc: int = 0
    gfn: int = 0
    vcpu: int = 0
    content: int | None = None  # of POISON: what the poisoned page holds; of STRANGER: the file's
    gmem: int = 0  # of BACKING: the file, and where in it
    offset: int = 0

    @property
    def shows(self) -> bool:
        """Whether it shows a broken rule on a side at least, as the models say."""
        return bool(self.rule) and any(self.fails)


def result_words(result: str | None) -> str:
    """A result as the C program prints it."""
    if result is None:
        return "did not end"
    errno = values.errno_of(result)
    if errno is not None:
        return os.strerror(errno)
    number = values.number_of(result)
    return result if number is None else str(number)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a turn may give: one result, or also the one that the patch promises."""

    results: tuple[str, ...]


def expectations(
    program: Program,
    order: Sequence[Turn],
    kind: Kind,
    sides: tuple[Observed, Observed],
    patched: Model,
) -> tuple[tuple[Expected, ...], tuple[Expected, ...]]:
    """What the ops of the setup and the turns may give, on either side.

    That is what the reference gives, unless it is the reference alone that breaks a rule.
    """
    ours, theirs = sides
    cured = kind.side == REFERENCE_ONLY
    setup = tuple(Expected((seen.result or "did not end",)) for seen in ours.setup)
    turns: list[Expected] = []
    for turn, mine, other in zip(order, ours.turns, theirs.turns, strict=True):
        old, new = mine.result or "did not end", other.result or "did not end"
        may = old == new or promised(program, turn.op, old, new, patched.promises)
        right = new if cured else old
        turns.append(Expected((old, new) if may and old != new else (right,)))
    return setup, tuple(turns)


def checks_of(
    program: Program,
    order: Sequence[Turn],
    kind: Kind,
    sides: tuple[Observed, Observed],
    patched: Model,
) -> tuple[Check, ...]:
    """The checks of a finding in a serial order, the general ones first.

    Raises NotExpressibleError when none of them would show the finding's own rule.
    """
    ours, theirs = sides
    _, expected = expectations(program, order, kind, sides, patched)
    told = _steps(program, order, kind, sides, expected)
    checks = [_results(ours, theirs, expected, told), *told]
    checks += _leaves(order, kind, ours, theirs)
    return _with_general(kind, sides, checks)


def checks_of_threads(
    kind: Kind, sides: tuple[Observed, Observed], serial: Sequence[tuple[Observed, Observed]]
) -> tuple[Check, ...]:
    """The checks of a finding whose ops overlap: only what holds in the end, in every order.

    serial: what the sides do in serial orders; in none of them may a good leaf count as bad.
    Raises NotExpressibleError as checks_of() does.
    """
    ours, theirs = sides
    checks: list[Check] = []
    for rule in _broken_rules(kind, ours, theirs)[:1]:
        whys = tuple(why for why in _WRONG.get(rule, ()) if why != FOREIGN)
        if not any(_leaves_of(side.last, whys) for side in sides):
            continue
        runs = [side for pair in (sides, *serial) for side in pair]
        limit = max(side.last.pages_4k - len(_leaves_of(side.last, whys)) for side in runs)
        fails = ours.last.pages_4k > limit, theirs.last.pages_4k > limit
        if any(fails):
            said = f"in the end, no leaf maps a page that is {_SAID[rule]}"
            checks.append(Check(LEAVES, said, rule, fails, limit=limit))
    return _with_general(kind, sides, checks)


def _with_general(
    kind: Kind, sides: tuple[Observed, Observed], checks: list[Check]
) -> tuple[Check, ...]:
    ours, theirs = sides
    checks += _reads(kind, ours, theirs)
    checks += _caches(kind, ours, theirs)
    checks.append(_log(kind, ours, theirs))
    checks.append(_progress(kind, ours, theirs))
    if not any(check.rule == kind.rule and check.shows for check in checks):
        rule = EXPLAINED[kind.rule].holds if kind.rule in EXPLAINED else kind.rule
        raise NotExpressibleError(
            f"{kind.rule} at {kind.site}: nothing that a program can see from outside the kernel "
            f"shows that this rule is broken here ({rule})"
        )
    return tuple(checks)


def _results(
    ours: Observed, theirs: Observed, expected: Sequence[Expected], told: Sequence[Check]
) -> Check:
    """Results of all steps but those that have a check of their own."""
    own = {check.at for check in told}
    wrong = [
        any(at not in own and _is_wrong(seen, may) for at, (seen, may) in enumerate(steps))
        for steps in (list(zip(side.turns, expected, strict=True)) for side in (ours, theirs))
    ]
    return Check(RESULTS, "every step gives what it must", "", (wrong[0], wrong[1]))


def _is_wrong(seen: Seen, may: Expected) -> bool:
    return seen.result is not None and seen.result not in may.results


def _steps(
    program: Program,
    order: Sequence[Turn],
    kind: Kind,
    sides: tuple[Observed, Observed],
    expected: Sequence[Expected],
) -> list[Check]:
    """Steps whose results show a rule broken that is about contents, one check each."""
    ours, theirs = sides
    rules = [rule for rule in _broken_rules(kind, ours, theirs) if rule in _TOLD_BY_RESULTS]
    lines = op_lines(program)
    found: list[Check] = []
    for at, (turn, may) in enumerate(zip(order, expected, strict=True)):
        fails = _is_wrong(ours.turns[at], may), _is_wrong(theirs.turns[at], may)
        if any(fails) and rules:
            text = lines[turn.actor, turn.index].split(" =>")[0]
            said = f"{turn.actor} {text} gives {' or '.join(may.results)}"
            found.append(Check(STEP, said, rules[0], fails, at=at))
    return found


def _leaves_of(seen: Seen, whys: tuple[str, ...]) -> list[BadLeaf]:
    """Leaves, not TLB entries, that are bad for one of these reasons."""
    return [leaf for leaf in seen.bad if leaf.why in whys and leaf.vcpu is None]


def _broken_rules(kind: Kind, ours: Observed, theirs: Observed) -> list[str]:
    """The finding's rule, then the others that either side breaks, in a fixed order."""
    others = {rule for rule, _ in ours.broken | theirs.broken}
    return [kind.rule, *sorted(others - {kind.rule})]


def _leaves(order: Sequence[Turn], kind: Kind, ours: Observed, theirs: Observed) -> list[Check]:
    """After which op there are more leaves than there are good ones, rule by rule."""
    found: list[Check] = []
    for rule in _broken_rules(kind, ours, theirs):
        whys = tuple(why for why in _WRONG.get(rule, ()) if why != FOREIGN)
        for at, turn in enumerate(order):
            mine, other = ours.turns[at], theirs.turns[at]
            bad = _leaves_of(mine, whys), _leaves_of(other, whys)
            if not any(bad):
                continue
            seen, leaves = (other, bad[1]) if bad[1] else (mine, bad[0])
            limit = seen.pages_4k - len(leaves)
            fails = mine.pages_4k > limit, other.pages_4k > limit
            said = f"after {turn.actor} {turn.op.name}, no leaf maps a page that is {_SAID[rule]}"
            if not any(check.at == at for check in found):
                found.append(Check(LEAVES, said, rule, fails, at=at, limit=limit))
            break
    return found


_SAID: Final[dict[str, str]] = {
    "stale-spte": "free",
    "truncate-before-zap": "no longer the file's",
    "use-after-free": "free",
    "stale-install": "no longer mapped by the VMM",
    "unflushed-range": "no longer mapped by the VMM",
    "deleted-slot-spte": "in no memslot",
    "poisoned-mapped": "poisoned",
    "gmem-backing": "not the file's",
}
_READS: Final[dict[str, tuple[str, str]]] = {
    FREED: (STRANGER, "the guest reads no page at gfn {gfn:#x} that was freed"),
    FOREIGN: (BACKING, "guest and file share one page at gfn {gfn:#x}"),
    POISONED: (POISON, "the guest does not read the poisoned page at gfn {gfn:#x}"),
}


def _reads(kind: Kind, ours: Observed, theirs: Observed) -> list[Check]:
    """In the end, what the guest reads through a translation that it should not have."""
    found: list[Check] = []
    places = dict.fromkeys(
        (leaf.gfn, leaf.why)
        for side in (theirs, ours)
        for leaf in side.last.bad
        if leaf.why in _READS and leaf.as_id == 0 and not leaf.l2
    )
    for gfn, why in places:
        rules = [rule for rule in _broken_rules(kind, ours, theirs) if why in _WRONG.get(rule, ())]
        if not rules:
            continue
        there = [
            [leaf for leaf in side.last.bad if (leaf.gfn, leaf.why) == (gfn, why)]
            for side in (ours, theirs)
        ]
        leaf = (there[1] or there[0])[0]  # leaves come before TLB entries
        check, text = _READS[why]
        place = _place_in_file(theirs if there[1] else ours, gfn)
        if check == BACKING and place is None:
            continue
        if check == POISON and leaf.content in (_good(ours, gfn), _good(theirs, gfn)):
            continue  # whoever reads it cannot tell
        gmem, offset = place or (0, 0)
        found.append(
            Check(
                check,
                text.format(gfn=gfn),
                rules[0],
                (bool(there[0]), bool(there[1])),
                gfn=gfn,
                vcpu=leaf.vcpu or 0,
                content=_good(ours, gfn) if check == STRANGER else leaf.content,
                gmem=gmem,
                offset=offset,
            )
        )
    return found


def _caches(kind: Kind, ours: Observed, theirs: Observed) -> list[Check]:
    """In the end, where KVM writes through a pfn cache that is valid on a freed page."""
    rules = [r for r in _broken_rules(kind, ours, theirs) if r in ("stale-gpc", "use-after-free")]
    numbers = dict.fromkeys((*theirs.last.stale_caches, *ours.last.stale_caches))
    return [
        Check(
            CACHE,
            f"KVM does not write to another process's memory through gpc{number}",
            rules[0],
            (number in ours.last.stale_caches, number in theirs.last.stale_caches),
            gpc=number,
        )
        for number in numbers
        if rules
    ]


def _place_in_file(side: Observed, gfn: int) -> tuple[int, int] | None:
    """Which open guest_memfd backs a gfn, and where (bytes); None when no open one does."""
    kvm = side.run.kvm
    slot = kvm.gfn_to_memslot(0, gfn)
    for number, file in kvm.fds.items():
        if slot is not None and slot.gmem_file is not None and file.inode is slot.gmem_file.inode:
            return number, (gfn - slot.base_gfn + slot.gmem_pgoff) * PAGE
    return None


def _good(side: Observed, gfn: int) -> int | None:
    """What the file holds at a gfn of a guest_memfd slot: 0 in a hole, None elsewhere."""
    slot = side.run.kvm.gfn_to_memslot(0, gfn)
    if slot is None or slot.gmem_file is None:
        return None
    frame = slot.gmem_file.inode.pages.get(gfn - slot.base_gfn + slot.gmem_pgoff)
    return frame.content if frame is not None else 0


def _log(kind: Kind, ours: Observed, theirs: Observed) -> Check:
    loud = [any(rule in _TOLD_BY_LOG for rule, _ in side.broken) for side in (ours, theirs)]
    rule = kind.rule if kind.rule in _TOLD_BY_LOG else ""
    return Check(LOG, "the kernel's log is clean", rule, (loud[0], loud[1]))


def _progress(kind: Kind, ours: Observed, theirs: Observed) -> Check:
    stuck = [side.run.end in (End.DEADLOCK, End.LIVELOCK) for side in (ours, theirs)]
    rule = kind.rule if kind.rule in STUCK_RULES else ""
    return Check(PROGRESS, "every step comes back", rule, (stuck[0], stuck[1]))
