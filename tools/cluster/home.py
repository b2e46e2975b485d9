"""The end of an exchange that is in the campaign's directory: takes in what slices bring.

An object leaves the share only after it is on disk here, so the coordinator may be killed at any
moment: then it is fetched once more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tools.campaign.layout import Layout
from tools.campaign.settings import Settings, settings_text
from tools.campaign.supervise.inputs import keep_input, out_of_corpus
from tools.cluster.programs import (
    KEPT,
    fetch,
    folders,
    local_names,
    program_hashes,
    send,
    text_of,
)
from tools.cluster.share import (
    BEATS,
    CORPUS,
    PROGRAMS,
    QUEUE,
    Share,
    ShareError,
    as_json_object,
)

Torn: TypeAlias = dict[tuple[str, str], int]  # folder and name -> size


@dataclass(slots=True)
class Fetched:
    """What one exchange brought."""

    beats: dict[str, dict[str, Any]] = field(default_factory=dict)  # by slice
    torn: list[str] = field(default_factory=list)  # objects that were moved to quarantine


class Home:
    """The campaign's end.  Its methods may raise ShareError and, for the disk here, OSError."""

    def __init__(self, share: Share, layout: Layout) -> None:
        self.share = share
        self.layout = layout
        self._here = folders(layout)
        self._taken: set[str] = set()  # of the queue: on disk here, and not yet triaged
        self._torn: Torn = {}  # as of the last exchange
        self._known = b""

    def claim(self, settings: Settings) -> None:
        """Make sure that the location can be used, and is this campaign's or nobody's."""
        self.share.make()
        mine = settings_text(settings).encode()
        theirs = self.share.read("campaign.json")
        if theirs is not None and theirs != mine:
            raise ShareError(
                f"{self.share.url}: belongs to another campaign (its campaign.json differs from "
                f"{self.layout.settings}); give another location with --share"
            )
        self.share.write("campaign.json", mine)
        self.share.remove("stop")
        for name in self.share.names(BEATS):  # of slices that nobody waits for any more
            self.share.remove(f"{BEATS}/{name}")

    def stop(self, session: str) -> None:
        """Ask the slices of a session to end."""
        self.share.write("stop", session.encode())

    def exchange(self, slices: list[str]) -> Fetched:
        """Fetch what is new there, send what is new here, hear how these slices do."""
        fetched = Fetched()
        there = {folder: self.share.sizes(folder) for folder in PROGRAMS}
        torn: Torn = {}
        for folder in KEPT:
            self._kept(folder, there[folder], torn)
        self._queue(there[QUEUE], torn)
        self._corpus(there[CORPUS], torn)
        self._quarantine(torn, fetched)
        self._send_known()
        for name in slices:
            data = as_json_object(self.share.read(f"{BEATS}/{name}.json"))
            if data:
                fetched.beats[name] = data
        return fetched

    def _kept(self, folder: str, there: dict[str, int], torn: Torn) -> None:
        for program in sorted(program_hashes(there)):
            name = f"{program}.prog"
            if (self._here[folder] / name).exists():
                continue
            data = self.share.program(folder, name, there[name])
            if data:
                text = text_of(self.share, folder, name, there)
                keep_input(self._here[folder], data, text)
            else:
                torn[folder, name] = there[name]

    def _queue(self, there: dict[str, int], torn: Torn) -> None:
        """Here until triage has dealt with it, and there for as long: slices look at that."""
        here = set(local_names(self._here[QUEUE]))
        for name in there:
            if name in here:
                self._taken.add(name)
            elif name in self._taken:
                self.share.remove(f"{QUEUE}/{name}")
                self._taken.remove(name)
            elif fetch(self.share, QUEUE, name, there, self._here[QUEUE] / name):
                self._taken.add(name)
            else:
                torn[QUEUE, name] = there[name]

    def _corpus(self, there: dict[str, int], torn: Torn) -> None:
        """Both ways, but for programs that hang or fail, which leave both sides."""
        bad = set().union(*(program_hashes(local_names(self._here[f])) for f in KEPT))
        for name in sorted(bad & set(there)):
            self.share.remove(f"{CORPUS}/{name}")
        here = set(local_names(self._here[CORPUS]))
        for name in sorted(bad & here):
            data = (self._here[CORPUS] / name).read_bytes()
            out_of_corpus(self.layout, data, "it hangs or fails; see hangs/ and errors/")
        for name in sorted(here - bad - set(there)):
            send(self.share, CORPUS, self._here[CORPUS] / name, there)
        for name in sorted(set(there) - bad - here):
            if not fetch(self.share, CORPUS, name, there, self._here[CORPUS] / name):
                torn[CORPUS, name] = there[name]

    def _quarantine(self, torn: Torn, fetched: Fetched) -> None:
        """What was torn twice, of the same size, is no longer being written.

        If it is after all, its writer will miss it there and send it again.
        """
        for (folder, name), size in sorted(torn.items()):
            if self._torn.get((folder, name)) == size:
                self.share.set_aside(folder, name)
                fetched.torn.append(f"{folder}/{name}")
        self._torn = torn

    def _send_known(self) -> None:
        try:
            known = self.layout.known.read_bytes()
        except FileNotFoundError:
            return
        if known != self._known:
            self.share.write("known.json", known)
            self._known = known
