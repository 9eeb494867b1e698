"""The workbench: a database in the bag's work folder, so that a million names need little memory.

Paths are relative to the vault; ``place`` says where a file is now and ``stored`` where it belongs, both relative to
the payload (a place in the work folder begins with ``/``). It is made anew by every run: nothing in it is kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

CHUNK = 2000
_SCHEMA = """
CREATE TABLE recorded(
    path BLOB PRIMARY KEY, sha256 BLOB, size INTEGER, sm3 BLOB, mtime INTEGER, seen INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE found(
    path BLOB PRIMARY KEY, place BLOB NOT NULL, stored BLOB, odd INTEGER NOT NULL, size INTEGER NOT NULL,
    mtime INTEGER NOT NULL, node TEXT NOT NULL, links INTEGER NOT NULL, sha256 BLOB, sm3 BLOB
) WITHOUT ROWID;
CREATE TABLE normal(path BLOB PRIMARY KEY, nfc BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE folder(path BLOB PRIMARY KEY, odd INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE other(
    path BLOB, kind TEXT, record TEXT NOT NULL, here INTEGER NOT NULL, PRIMARY KEY(path, kind)
) WITHOUT ROWID;
CREATE TABLE named(path BLOB PRIMARY KEY, stored BLOB UNIQUE NOT NULL) WITHOUT ROWID;
"""


class Bench:
    """The tables: ``recorded`` by the ledger, ``found`` in the payload, ``other`` things there, ``named`` before."""

    def __init__(self, file: Path, *, threads: bool = False) -> None:
        """``threads``: it is used from several, by one at a time."""
        file.unlink(missing_ok=True)
        file.touch(0o600)
        self.db = sqlite3.connect(file, isolation_level=None, check_same_thread=not threads)
        # Its content is worth nothing after a crash.
        self.db.execute("PRAGMA journal_mode=OFF")
        self.db.execute("PRAGMA synchronous=OFF")
        self.db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self.db.execute("PRAGMA cache_size=-65536")
        self.db.execute("PRAGMA temp_store=FILE")
        self.db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close it; the file goes with the work folder."""
        self.db.close()

    def fill(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Insert many rows."""
        self.db.execute("BEGIN")
        self.db.executemany(statement, rows)
        self.db.execute("COMMIT")

    def one(self, statement: str, *values: object) -> Any:
        """The first column of the first row."""
        return self.db.execute(statement, values).fetchone()[0]

    def note(self, path: bytes, kind: str, record: str, *, here: bool = True) -> None:
        """A line of ``names.jsonl``; ``here``: the thing was seen now, and not by an earlier run."""
        self.db.execute("INSERT OR REPLACE INTO other VALUES (?, ?, ?, ?)", (path, kind, record, here))

    def files(self) -> Iterator[tuple[bytes, bytes, bytes, int, int]]:
        """Path, place, stored, size and mtime of every file found, by path. The table may be written to meanwhile."""
        last: bytes = b""
        while rows := self.db.execute(
            "SELECT path, place, stored, size, mtime FROM found WHERE path > ? ORDER BY path LIMIT ?", (last, CHUNK)
        ).fetchall():
            yield from rows
            last = rows[-1][0]

    def manifest(self) -> Iterator[tuple[bytes, bytes]]:
        """Path and SHA-256 of every file on record, as ``vaultd.manifest`` has its rows."""
        yield from self.db.execute("SELECT path, sha256 FROM recorded ORDER BY path")

    def tagged(self) -> Iterator[tuple[bytes, bytes, int, bytes | None]]:
        """Stored name, SHA-256, size and SM3 of every file found, by stored name."""
        yield from self.db.execute("SELECT stored, sha256, size, sm3 FROM found ORDER BY stored")

    def records(self) -> Iterator[str]:
        """The lines of ``names.jsonl``, by path."""
        yield from chain.from_iterable(self.db.execute("SELECT record FROM other ORDER BY path, kind"))
