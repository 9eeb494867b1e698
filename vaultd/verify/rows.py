"""What a snapshot should hold, and what was seen of it: tables of the bag's workbench, so that a million names need
little memory. The files hold names and hashes, and are as secret as the ledger; they go when the verification ends.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from vaultd.bag.bench import Bench
from vaultd.verify.reader import FILE, Record

CHUNK = 2000
UNSEEN, WANTED, SEEN, DONE = 0, 1, 2, 3
"""Of a row: not looked at; to be read; was read (or is judged); was verified by the run that this one goes on with."""


class Row(NamedTuple):
    """A file that should be there."""

    path: bytes
    sha256: bytes
    size: int
    mtime: int | None


class Odd(NamedTuple):
    """What is not as on record, and is to be judged: the row, if there is one, and what was found, if anything was."""

    path: bytes
    row: Row | None
    found: bytes | None
    size: int
    why: str
    lost: bool


@dataclass(slots=True)
class Rows:
    """A snapshot's table. ``prefix``: what names in restic's archives have before the vault's own paths."""

    bench: Bench
    lock: threading.Lock
    table: str
    prefix: bytes
    odd: list[Odd] = field(default_factory=list)

    def fill(self, rows: Iterable[Row]) -> None:
        """Put rows in."""
        with self.lock:
            self.bench.fill(f"INSERT OR REPLACE INTO {self.table}(path, sha256, size, mtime) VALUES(?, ?, ?, ?)", rows)

    def totals(self, state: int | None = None) -> tuple[int, int]:
        """Files and bytes of all rows, or of those in a state."""
        where, values = ("", ()) if state is None else (" WHERE seen=?", (state,))
        with self.lock:
            query = f"SELECT count(*), coalesce(sum(size), 0) FROM {self.table}{where}"
            files, size = self.bench.db.execute(query, values).fetchone()
        return files, size

    def want_all(self) -> None:
        """All that were not verified are to be read."""
        with self.lock:
            self.bench.db.execute(f"UPDATE {self.table} SET seen={WANTED} WHERE seen={UNSEEN}")

    def set(self, state: int, paths: Iterable[bytes]) -> None:
        """Put paths into a state."""
        with self.lock:
            self.bench.fill(f"UPDATE {self.table} SET seen={state} WHERE path=?", ((path,) for path in paths))

    def set_verified(self, found: Iterable[tuple[bytes, bytes]]) -> None:
        """These (path, SHA-256) were verified before: they need not be read."""
        with self.lock:
            self.bench.fill(f"UPDATE {self.table} SET seen={DONE} WHERE path=? AND sha256=?", found)

    def check(self, records: Sequence[Record]) -> tuple[list[Row], int, int]:
        """Compare what came out of the repository with the rows. Returns the rows that are as on record, and how many
        files and bytes were compared; the others go to ``odd``."""
        good, seen, read = list[Row](), list[tuple[bytes]](), 0
        query = f"SELECT path, sha256, size, mtime, seen FROM {self.table} WHERE path=?"
        with self.lock:
            look = self.bench.db.execute
            for kind, name, size, sha256 in records:
                path = name.strip(b"/")[len(self.prefix) :]
                if kind != FILE:
                    continue  # a hard link in the archive: its row stays to be read, by itself
                found = look(query, (path,)).fetchone()
                if found is None:
                    self.odd.append(Odd(path, None, sha256, size, "", lost=False))
                    continue
                if found[4] == SEEN:
                    continue  # it came before, and is in an archive that is asked for again
                seen.append((path,))
                read += size
                if found[1] == sha256:
                    good.append(Row._make(found[:4]))
                else:
                    self.odd.append(Odd(path, Row._make(found[:4]), sha256, size, "", lost=False))
            self.bench.fill(f"UPDATE {self.table} SET seen={SEEN} WHERE path=?", seen)
        return good, len(seen), read

    def settle(self, good: Sequence[Row]) -> None:
        """These were read, and are as on record."""
        self.set(SEEN, (row.path for row in good))

    def lose(self, rows: Iterable[Row], why: str, *, lost: bool) -> None:
        """These cannot be had back; ``lost``: their own content, and not what leads to it."""
        rows = list(rows)
        self.odd.extend(Odd(row.path, row, None, row.size, why, lost) for row in rows)
        self.set(SEEN, (row.path for row in rows))

    def wanted(self, folder: bytes = b"") -> Iterator[Row]:
        """What is still to be read in a folder (relative) and below, by path. The table may be written to meanwhile."""
        last, end = (folder + b"/", folder + b"0") if folder else (b"", b"")
        limit = " AND path < ?" if folder else ""
        query = (
            f"SELECT path, sha256, size, mtime FROM {self.table} WHERE path > ?{limit} AND seen={WANTED}"
            f" ORDER BY path LIMIT {CHUNK}"
        )
        while True:
            with self.lock:
                rows = self.bench.db.execute(query, (last, end) if folder else (last,)).fetchall()
            if not rows:
                return
            yield from map(Row._make, rows)
            last = rows[-1][0]

    def one(self, path: bytes) -> Row | None:
        """The row of a path, where that is still to be read."""
        query = f"SELECT path, sha256, size, mtime FROM {self.table} WHERE path=? AND seen={WANTED}"
        with self.lock:
            found = self.bench.db.execute(query, (path,)).fetchone()
        return None if found is None else Row._make(found)

    def all(self) -> Iterator[tuple[Row, int]]:
        """Every row with its state, by path."""
        last = b""
        while True:
            with self.lock:
                rows = self.bench.db.execute(
                    f"SELECT path, sha256, size, mtime, seen FROM {self.table} WHERE path > ? ORDER BY path LIMIT ?",
                    (last, CHUNK),
                ).fetchall()
            if not rows:
                return
            for row in rows:
                yield Row._make(row[:4]), row[4]
            last = rows[-1][0]


class Place:
    """A private folder for one verification: the workbench and restic's cache. Gone afterwards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bench = Bench(folder / "bench", threads=True)
        self.lock = threading.Lock()
        self.count = 0

    def base(self, prefix: bytes) -> Rows:
        """The table that ``bag.record`` fills."""
        return Rows(self.bench, self.lock, "recorded", prefix)

    def more(self, prefix: bytes) -> Rows:
        """Another one."""
        self.count += 1
        table = f"more{self.count}"
        self.bench.db.execute(
            f"CREATE TABLE {table}(path BLOB PRIMARY KEY, sha256 BLOB, size INTEGER, mtime INTEGER,"
            " seen INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID"
        )
        return Rows(self.bench, self.lock, table, prefix)
