"""Versions that are ready to go on record before the snapshot is there that they belong to.

What a run has hashed is put into a temporary table while restic still runs; when it has ended, single statements move
all of it into the tables that count. A hundred thousand rows are then half a second on the way of an acknowledgement,
not two. The table is the writing connection's own and in memory: nobody else sees it, and a crash leaves nothing of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import NamedTuple

from vaultd.store import catalog


class NewVersion(NamedTuple):
    """A file version on its way: ``VersionRow`` says what the first six are. ``inode`` and ``ctime``, where they are
    not None, name the state of the catalog that the hash is bound to."""

    path: bytes
    state: str
    size: int
    mtime: int
    sha256: bytes | None
    sm3: bytes | None
    inode: int | None = None
    ctime: int | None = None


def prepare(db: sqlite3.Connection) -> None:
    """Make the table, once for each connection."""
    db.execute(
        "CREATE TEMP TABLE IF NOT EXISTS staged("
        " run TEXT NOT NULL, at INTEGER NOT NULL, path BLOB NOT NULL, state TEXT NOT NULL, size INTEGER NOT NULL,"
        " mtime INTEGER NOT NULL, sha256 BLOB, sm3 BLOB, dir INTEGER, name BLOB, inode INTEGER, ctime INTEGER,"
        " PRIMARY KEY(run, at)) WITHOUT ROWID"
    )


def add(db: sqlite3.Connection, run: str, vault: int, first: int, versions: Sequence[NewVersion]) -> None:
    """Put versions of a run into the table, from place ``first`` on."""
    folders: dict[bytes, int | None] = {}
    rows: list[tuple[object, ...]] = []
    for at, one in enumerate(versions, first):
        where, _slash, name = one.path.rpartition(b"/")
        if where not in folders:
            folders[where] = catalog.folder_id(db, vault, where)
        rows.append((run, at, *one[:6], folders[where], name, one.inode, one.ctime))
    db.executemany("INSERT INTO staged VALUES(?,?,?,?,?,?,?,?,?,?,?,?)", rows)


def leave_out(db: sqlite3.Connection, run: str, places: Collection[int]) -> None:
    """Take some versions out again; those behind them move up."""
    if not places:
        return
    db.executemany("DELETE FROM staged WHERE run=? AND at=?", [(run, at) for at in places])
    left = [at for (at,) in db.execute("SELECT at FROM staged WHERE run=? ORDER BY at", (run,))]
    moves = [(new, run, old) for new, old in enumerate(left) if new != old]
    db.executemany("UPDATE staged SET at=? WHERE run=? AND at=?", moves)  # upwards, in order: never two at one place


def count(db: sqlite3.Connection, run: str) -> int:
    """How many there are of a run."""
    return int(db.execute("SELECT count(*) FROM staged WHERE run=?", (run,)).fetchone()[0])


def record(db: sqlite3.Connection, run: str, vault: int, now: int, entry: int | None) -> None:
    """Make versions of them, and bind the catalog's entries to their hashes where these are still as they were.

    ``entry``: the place of the first in the ledger; the others follow it. None: they are owed to it.
    """
    first = 1 + int(db.execute("SELECT coalesce(max(number), 0) FROM version").fetchone()[0])
    db.execute(
        "INSERT INTO version(number, vault, path, state, size, mtime, sha256, sm3, change_set, recorded, entry)"
        " SELECT ?+at, ?, path, state, size, mtime, sha256, sm3, run, ?, ?+at FROM staged WHERE run=? ORDER BY at",
        (first, vault, now, entry, run),
    )
    db.execute(
        "UPDATE file SET sha256=s.sha256, version=?+s.at FROM staged s WHERE s.run=? AND s.inode IS NOT NULL"
        " AND file.dir=s.dir AND file.name=s.name AND file.inode=s.inode AND file.size=s.size"
        " AND file.mtime=s.mtime AND file.ctime=s.ctime",
        (first, run),
    )


def forget(db: sqlite3.Connection, run: str) -> None:
    """Empty the table of a run."""
    db.execute("DELETE FROM staged WHERE run=?", (run,))
