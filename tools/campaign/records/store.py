"""campaign.db: an index of a campaign for questions about its course.

The files are the truth.  Whatever is missing here is taken from them when a store is opened, and
a database that is damaged or of another version is made again.  Nothing that fails here may
stop a campaign: errors are kept in `error`, to be told once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

from tools.campaign.layout import Layout
from tools.campaign.records.events import read_events, read_lines
from tools.campaign.records.totals import SeenAs
from tools.campaign.views.snapshot import Event, FindingView

_Row: TypeAlias = tuple[Any, ...]

VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE samples (
    time REAL PRIMARY KEY, run_time REAL, execs_done INTEGER, execs_per_sec REAL,
    corpus_count INTEGER, edges_found INTEGER, saved_crashes INTEGER, line TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE findings (
    fingerprint TEXT PRIMARY KEY, rule TEXT, site TEXT, side TEXT, headline TEXT, count INTEGER,
    first_seen TEXT, found_after REAL, path TEXT
) WITHOUT ROWID;
CREATE TABLE kinds_seen (
    rule TEXT, site TEXT, side TEXT, count INTEGER, PRIMARY KEY (rule, site, side)
) WITHOUT ROWID;
CREATE TABLE events (
    time REAL, kind TEXT, text TEXT, PRIMARY KEY (time, kind, text)
) WITHOUT ROWID;
"""
_NUMBERS: Final = (
    "last_update", "run_time", "execs_done", "execs_per_sec", "corpus_count", "edges_found",
    "saved_crashes",
)  # fmt: skip


class Store:
    """The database of one campaign; `note` says when it had to be made again."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.note = ""
        self.error = ""
        self._connection: sqlite3.Connection | None = None
        with suppress(OSError, sqlite3.Error):
            self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        path = self.layout.database
        if path.exists():
            try:
                return _usable(path)
            except sqlite3.Error as error:
                self.note = f"{path.name} was damaged ({error}) and is made again from the files"
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        elif self.layout.stats.exists():
            self.note = f"{path.name} was missing and is made again from the files"
        return _fresh(path)

    def sync(self, findings: Iterable[FindingView], seen: Mapping[SeenAs, int]) -> None:
        """Take from the files whatever is not here yet."""
        lines = [row for line in read_lines(self.layout.stats) if (row := _sample(line))]
        self._write(lines, read_events(self.layout.events), findings, seen)

    def add(
        self,
        line: Mapping[str, Any],
        events: Iterable[Event],
        findings: Iterable[FindingView],
        seen: Mapping[SeenAs, int],
    ) -> None:
        """Add a line of statistics and what happened since the one before."""
        row = _sample(line)
        self._write([row] if row else [], events, findings, seen)

    def _write(
        self,
        samples: list[_Row],
        events: Iterable[Event],
        findings: Iterable[FindingView],
        seen: Mapping[SeenAs, int],
    ) -> None:
        """Write all of it or nothing; any error goes to `error`."""
        jobs: list[tuple[str, list[_Row]]] = [
            ("INSERT OR IGNORE INTO samples VALUES (?,?,?,?,?,?,?,?)", samples),
            (
                "INSERT OR IGNORE INTO events VALUES (?,?,?)",
                [(e.time, e.kind, e.text) for e in events],
            ),
            (
                "INSERT OR REPLACE INTO findings VALUES (?,?,?,?,?,?,?,?,?)",
                [
                    (f.fingerprint, f.rule, f.site, f.side, f.headline, f.count, f.first_seen,
                     f.found_after, f.path)
                    for f in findings if not f.broken
                ],
            ),
            (
                "INSERT OR REPLACE INTO kinds_seen VALUES (?,?,?,?)",
                [(*kind, count) for kind, count in sorted(seen.items())],
            ),
        ]  # fmt: skip
        if self._connection is None:
            self.error = "it cannot be opened"
            return
        try:
            with self._connection:
                for statement, rows in jobs:
                    self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            self.error = str(error)

    def close(self) -> None:
        """Close the database; all is written already."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _fresh(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=1.0)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
    return connection


def _usable(path: Path) -> sqlite3.Connection:
    """Open a database that exists.  Raises sqlite3.Error when it is not what we want."""
    connection = sqlite3.connect(path, timeout=1.0)
    try:
        check = connection.execute("PRAGMA quick_check(1)").fetchone()
        if check != ("ok",):
            raise sqlite3.DatabaseError(str(check[0]))
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            raise sqlite3.DatabaseError(f"version {version}, not {VERSION}")
        connection.execute("PRAGMA synchronous=NORMAL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _sample(line: Mapping[str, Any]) -> _Row | None:
    values = [line.get(name) for name in _NUMBERS]
    if not all(isinstance(value, int | float) for value in values):
        return None
    return (*values, json.dumps(line))


def course(layout: Layout, since: float) -> list[dict[str, Any]]:
    """Lines of statistics since a time, oldest first: from the index, else from the file."""
    statement = "SELECT line FROM samples WHERE time >= ? ORDER BY time"
    try:
        with closing(_reader(layout)) as connection:
            return [json.loads(row[0]) for row in connection.execute(statement, (since,))]
    except (sqlite3.Error, ValueError):
        return [line for line in read_lines(layout.stats) if _sample(line) and _at(line) >= since]


def recent_events(layout: Layout, count: int) -> list[Event]:
    """The last events, oldest first: from the index, else from the file."""
    statement = "SELECT time, kind, text FROM events ORDER BY time DESC LIMIT ?"
    try:
        with closing(_reader(layout)) as connection:
            return [Event(*row) for row in connection.execute(statement, (count,))][::-1]
    except sqlite3.Error:
        return read_events(layout.events)[-count:]


def _reader(layout: Layout) -> sqlite3.Connection:
    address = f"{layout.database.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(address, timeout=1.0, uri=True)


def _at(line: Mapping[str, Any]) -> float:
    return float(line.get("last_update") or 0.0)
