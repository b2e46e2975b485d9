"""What one run did that line coverage cannot see: who met whom on what, and inside which window.

Kinds of feature, each a tuple of plain strings:

* ("meet", object, step, step): two actors touched one object one after the other, in these steps;
* ("window", name, op): an op took a step inside a window (fuzz/windows.py) of another actor's op;
* ("parked", step, kind): an actor of this kind ran while another stood before this step;
* ("leaf", slot, how, level, backing): a leaf was made: in which kind of slot, by a fault or a
  prefetch, for the guest or its nested guest, of a file's page or an anonymous one;
* ("unmap", slot, who): leaves of this kind of slot were taken away.

They are what a schedule is about.  Collecting them costs a twelfth of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from fuzz.execution import Execution
from fuzz.invariants import Oracles
from fuzz.mappings import how_made, kind_of_slot
from fuzz.vocabulary import SETUP, Program
from fuzz.windows import CLOSES, CONDITIONS, OPENS, OPENS_FOR_OP, Condition, names

if TYPE_CHECKING:
    from reference.frames import Frame
    from reference.gmem_types import GmemFile, GmemInode
    from reference.kvm import Kvm
    from reference.state import Fault, GfnRange, GfnToPfnCache, MemorySlot, Root, Spte

Feature = tuple[str, ...]

# Last part of a label -> the lock or counter that the step takes; steps named otherwise take none.
LOCKS: Final = {
    part: part
    for part in (
        "mmu_lock", "slots_lock", "slots_arch_lock", "invalidate_lock", "mmap_lock", "gpc_lock",
        "folio_lock", "refresh_lock", "mn_invalidate_lock",
    )
} | {
    "pre_mmu_lock": "mmu_lock", "post_mmu_lock": "mmu_lock", "tdp_mmu_lock": "mmu_lock",
    "relock": "gpc.lock", "lock": "gpc.lock", "write": "gpc.lock", "count": "mn_invalidate_lock",
    "rcuwait": "mn_invalidate_lock", "synchronize_srcu": "srcu", "srcu": "srcu",
}  # fmt: skip


class _Kind(NamedTuple):
    """What a label means here."""

    plain: bool  # nothing
    lock: str
    windows: bool
    opens: int
    closes: int
    conditions: tuple[Condition, ...]

    @classmethod
    def of(cls, label: str) -> _Kind:
        lock = LOCKS.get(label.rpartition(".")[2], "")
        opens, closes = OPENS.get(label, 0), CLOSES.get(label, 0)
        windows = label in OPENS or label in CLOSES
        conditions = CONDITIONS.get(label, ())
        return cls(not lock and not windows, lock, windows, opens, closes, conditions)


class Feedback(Oracles):
    """The oracles, listening to one run, and on the side noting its features."""

    __slots__ = ("execution", "features", "last", "op_names", "open", "turn", "windows")

    def __init__(self, survival_promised: bool, program: Program, features: set[Feature]) -> None:
        super().__init__(survival_promised)
        self.execution: Execution  # whose run this listens to; set when that is made
        self.features = features
        self.windows: list[tuple[str, str]] = []  # window and op, each time one was entered
        self.last: dict[object, tuple[str, str]] = {}  # object -> actor and step that touched it
        self.open: dict[tuple[str, int], int] = {}  # actor and op -> its open windows
        self.op_names = {(a.name, i): op.name for a in program.actors for i, op in enumerate(a.ops)}
        self.turn = (SETUP, -1)  # actor and op that run

    def detach(self) -> None:
        """Let go of the run, too."""
        super().detach()
        del self.execution

    def step(self, kvm: Kvm, actor: str, op: int, label: str) -> None:
        """A step was taken (fuzz.execution.Recorder)."""
        turn = self.turn
        if op != turn[1] or actor != turn[0]:
            if actor == SETUP:
                return
            self._new_turn((actor, op))
        kind = _KINDS.get(label)
        if kind is None:
            kind = _KINDS[label] = _Kind.of(label)
        if kind.plain:
            return
        if kind.lock:
            last = self.last.get(kind.lock)
            if last is not None and last[0] != actor:
                self.features.add(("meet", kind.lock, last[1], label))
            self.last[kind.lock] = (actor, label)
        if kind.windows:
            turn = self.turn
            before = self.open.get(turn, 0)
            bits = before & ~kind.closes | kind.opens
            for bit, after, when in kind.conditions:
                if (not after or before & after) and (when is None or when(kvm)):
                    bits |= bit
            self.open[turn] = bits | OPENS_FOR_OP.get((self.op_names[turn], label), 0)

    def _new_turn(self, turn: tuple[str, int]) -> None:
        """Another op runs: note what the others are in the middle of."""
        self.turn = turn
        name, kind = self.op_names[turn], turn[0].rstrip("0123456789")
        for other in self.execution.actors:
            if other.gen is None or other.name == turn[0]:
                continue
            place = other.name, other.op
            self.features.add(("parked", other.label, kind))
            bits = self.open.get(place)
            if bits:
                self.windows += [(window, name) for window in names(bits)]

    def _touch(self, kind: str, thing: object) -> None:
        """The running step touches an object; kind is its name in features."""
        now = self.execution.now
        if now is None or now.name == SETUP:
            return
        last = self.last.get(thing)
        if last is not None and last[0] != now.name:
            self.features.add(("meet", kind, last[1], now.label))
        self.last[thing] = (now.name, now.label)

    # What the model tells the oracles names the objects that its steps touch.

    def pfn_read(self, fault: Fault) -> None:
        """A fault depends on its gfn's slot."""
        super().pfn_read(fault)
        self._touch("gfn", ("gfn", fault.gfn))

    def spte_installed(self, root: Root, gfn: int, spte: Spte, fault: Fault | None) -> None:
        """A leaf: its gfn and its page."""
        super().spte_installed(root, gfn, spte, fault)
        slot = fault.slot if fault is not None else self.kvm.gfn_to_memslot(root.as_id, gfn)
        backing = "file" if spte.frame.inode is not None else "anonymous"
        level = "nested" if root.l2 else "guest"
        self.features.add(("leaf", kind_of_slot(slot), how_made(spte), level, backing))
        self._touch("gfn", ("gfn", gfn))
        self._touch("page", spte.frame)

    def sptes_unmapped(self, slot: MemorySlot, count: int, from_hva: bool) -> None:
        """Leaves went."""
        super().sptes_unmapped(slot, count, from_hva)
        if count:
            who = "notifier" if from_hva else "file or attributes"
            self.features.add(("unmap", kind_of_slot(slot), who))

    def frame_used(self, frame: Frame, generation: int, who: str) -> None:
        """A page was read or written."""
        super().frame_used(frame, generation, who)
        self._touch("page", frame)

    def frame_freed(self, frame: Frame) -> None:
        """A page went back."""
        super().frame_freed(frame)
        self._touch("page", frame)

    def cache_removed(self, inode: GmemInode, index: int, frame: Frame) -> None:
        """A page left a file."""
        super().cache_removed(inode, index, frame)
        self._touch("page", frame)

    def page_poisoned(self, frame: Frame) -> None:
        """A page was poisoned."""
        super().page_poisoned(frame)
        self._touch("page", frame)

    def invalidation_counted(self) -> None:
        """An invalidation began."""
        super().invalidation_counted()
        self._touch("invalidation", "invalidation")

    def invalidation_ended(self) -> None:
        """An invalidation ended."""
        super().invalidation_ended()
        self._touch("invalidation", "invalidation")

    def gmem_range_started(self, inode: GmemInode, start: int, end: int) -> None:
        """A file began to invalidate."""
        super().gmem_range_started(inode, start, end)
        self._touch("file", inode)

    def gmem_range_ended(self, inode: GmemInode, start: int, end: int) -> None:
        """A file ended its invalidation."""
        super().gmem_range_ended(inode, start, end)
        self._touch("file", inode)

    def gmem_pfn_returned(self, file: GmemFile, slot: MemorySlot, index: int) -> None:
        """A file gave a page."""
        super().gmem_pfn_returned(file, slot, index)
        self._touch("file", file.inode)

    def pte_changed(self, page: int) -> None:
        """A user page changed."""
        super().pte_changed(page)
        self._touch("user page", ("user page", page))

    def gpc_validated(self, gpc: GfnToPfnCache) -> None:
        """A pfn cache depends on a user page."""
        super().gpc_validated(gpc)
        self._touch("pfn cache", gpc)
        self._touch("user page", ("user page", gpc.uhva))

    def slots_published(self, as_id: int, old_generation: int, generation: int) -> None:
        """Memslots were exchanged."""
        super().slots_published(as_id, old_generation, generation)
        self._touch("memslots", ("memslots", as_id))

    def young_tested(self, gfns: GfnRange, young: bool, clear: bool) -> None:
        """Leaves were asked for their age."""
        super().young_tested(gfns, young, clear)
        self._touch("gfn", ("gfn", gfns.start))


_KINDS: dict[str, _Kind] = {}  # filled as labels come
