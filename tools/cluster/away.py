"""The end of an exchange that is on a host of the cluster: brings what a slice found, takes news.

Nothing here is needed for what was sent to be kept: a slice may be killed at any moment.
"""

from __future__ import annotations

import json
from typing import Any, Final

from tools.campaign.layout import Layout, write_whole
from tools.cluster.programs import (
    KEPT,
    fetch,
    folders,
    local_names,
    program_hashes,
    send,
    send_kept,
)
from tools.cluster.share import BEATS, CORPUS, PROGRAMS, QUEUE, Share, as_json_object

WAITING_MAX: Final = 16  # programs of one kind that wait at home; more would show nothing more


class Away:
    """One slice's end."""

    def __init__(self, share: Share, layout: Layout, session: str) -> None:
        self.share = share
        self.layout = layout
        self.session = session
        self._here = folders(layout)
        self._seen: set[str] = set()  # corpus entries that were here or there once
        self._sent: set[str] = set()  # of the queue
        self._known = b""

    def exchange(self) -> bool:
        """Send what is new here, fetch what is new there; True: the session is to end."""
        there = {folder: self.share.sizes(folder) for folder in PROGRAMS}
        for folder in KEPT:
            for name in sorted(program_hashes(local_names(self._here[folder]))):
                path = self._here[folder] / f"{name}.prog"
                send_kept(self.share, folder, path, there[folder])
        self._queue(there[QUEUE])
        self._corpus(there[CORPUS], set().union(*(program_hashes(there[f]) for f in KEPT)))
        known = self.share.read("known.json") or b""
        if known != self._known and as_json_object(known):
            write_whole(self.layout.known, known)
            self._known = known
        return self.share.read("stop") == self.session.encode()

    def _queue(self, there: dict[str, int]) -> None:
        """Programs leave here when home has dealt with them: a worker counts those that wait."""
        for name in sorted(self._sent - set(there)):
            self._sent.remove(name)
            (self._here[QUEUE] / name).unlink(missing_ok=True)
        for name in local_names(self._here[QUEUE]):
            kind = name.partition("-")[0]
            waiting = sum(other.startswith(f"{kind}-") for other in there)
            full = waiting >= WAITING_MAX and name not in there
            if not full and send(self.share, QUEUE, self._here[QUEUE] / name, there):
                self._sent.add(name)

    def _corpus(self, there: dict[str, int], bad: set[str]) -> None:
        """Both ways, and each program once: what was taken away here does not come back."""
        for name in local_names(self._here[CORPUS]):
            path = self._here[CORPUS] / name
            if name in bad:
                path.unlink(missing_ok=True)
            elif name not in self._seen and send(self.share, CORPUS, path, there):
                self._seen.add(name)
        for name in there:
            if name in bad or name in self._seen:
                continue
            if fetch(self.share, CORPUS, name, there, self._here[CORPUS] / name):
                self._seen.add(name)

    def beat(self, name: str, data: dict[str, Any]) -> None:
        """Say what the slice has counted."""
        self.share.write(f"{BEATS}/{name}.json", json.dumps(data, sort_keys=True).encode())
