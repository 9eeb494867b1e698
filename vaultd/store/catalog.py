"""What each vault looked like when it was last seen: the side that a reconcile scan compares with.

The catalog is only ever changed together with the backlog (see ``Store.observe``): what it holds is either pending or
protected.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from vaultd.model import FileKind, Stat
from vaultd.names import parent

COLUMNS = "kind, inode, size, mtime, ctime, mode, uid, gid"

Row = tuple[bytes, str, int, int, int, int, int, int, int]
"""A name in a directory, and what was seen of it: the columns above, not yet (or no more) a Stat."""


class Entry(NamedTuple):
    """A path as last seen, with the hash bound to exactly that state (None: not bound yet)."""

    stat: Stat
    sha256: bytes | None
    version: int | None


def split(path: bytes) -> tuple[bytes, bytes]:
    """Directory and name under which a path is kept; the vault's folder itself is (b"", b"")."""
    folder = parent(path)
    return folder, path[len(folder) + 1 :] if folder else path


_KINDS = {kind.value: kind for kind in FileKind}


def stat_of(row: Sequence[Any]) -> Stat:
    """A Stat from the eight columns in the order of ``COLUMNS``, which is that of its fields."""
    return Stat._make((_KINDS[row[0]], *row[1:8]))


def folder_id(db: sqlite3.Connection, vault: int, path: bytes) -> int | None:
    """The number of a directory, None when the catalog does not have it."""
    row = db.execute("SELECT id FROM dir WHERE vault=? AND path=?", (vault, path)).fetchone()
    return None if row is None else int(row[0])


def make_folder_id(db: sqlite3.Connection, vault: int, path: bytes) -> int:
    """The number of a directory, made when it is new."""
    found = folder_id(db, vault, path)
    if found is not None:
        return found
    return int(db.execute("INSERT INTO dir(vault, path) VALUES(?, ?) RETURNING id", (vault, path)).fetchone()[0])


def get(db: sqlite3.Connection, folder: int, name: bytes) -> Entry | None:
    """What is known of a name in a directory."""
    row = db.execute(f"SELECT {COLUMNS}, sha256, version FROM file WHERE dir=? AND name=?", (folder, name)).fetchone()
    return None if row is None else Entry(stat_of(row), row[8], row[9])


_PUT = (
    "INSERT INTO file(dir, name, kind, inode, size, mtime, ctime, mode, uid, gid) VALUES(?,?,?,?,?,?,?,?,?,?)"
    " ON CONFLICT(dir, name) DO UPDATE SET"
    " sha256=CASE WHEN kind=excluded.kind AND inode=excluded.inode AND size=excluded.size"
    "   AND mtime=excluded.mtime AND ctime=excluded.ctime THEN sha256 END,"
    " version=CASE WHEN kind=excluded.kind AND inode=excluded.inode AND size=excluded.size"
    "   AND mtime=excluded.mtime AND ctime=excluded.ctime THEN version END,"
    " kind=excluded.kind, inode=excluded.inode, size=excluded.size, mtime=excluded.mtime, ctime=excluded.ctime,"
    " mode=excluded.mode, uid=excluded.uid, gid=excluded.gid"
)


def put_all(db: sqlite3.Connection, rows: Iterable[tuple[int, bytes, Stat]]) -> None:
    """Keep what was seen (directory's number, name, stat); a hash stays only while inode, size and times stay."""
    db.executemany(_PUT, ((folder, name, seen.kind.value, *seen[1:]) for folder, name, seen in rows))


def put_rows(db: sqlite3.Connection, folder: int, rows: Iterable[Row]) -> None:
    """Keep what was seen in a directory of which the catalog has nothing (``is_bare``). A listing may have a name twice
    (FUSE; a name that went and came again between two reads of a large directory): the last one counts."""
    db.executemany(
        f"INSERT OR REPLACE INTO file(dir, name, {COLUMNS}) VALUES(?,?,?,?,?,?,?,?,?,?)",
        ((folder, *row) for row in rows),
    )


def is_bare(db: sqlite3.Connection, vault: int, path: bytes) -> bool:
    """Whether the catalog has this directory, and nothing in it."""
    where, name = split(path)
    above, folder = folder_id(db, vault, where), folder_id(db, vault, path)
    if above is None or folder is None:
        return False
    own = db.execute("SELECT kind FROM file WHERE dir=? AND name=?", (above, name)).fetchone()
    if own is None or own[0] != FileKind.DIRECTORY.value:
        return False
    return db.execute("SELECT 1 FROM file WHERE dir=? AND name<>x'' LIMIT 1", (folder,)).fetchone() is None


def folder_names(db: sqlite3.Connection, folder: int) -> set[bytes]:
    """The names in a directory that the catalog knows as directories."""
    return {row[0] for row in db.execute("SELECT name FROM file WHERE dir=? AND kind='d'", (folder,))}


def entries_in(db: sqlite3.Connection, folder: int) -> dict[bytes, Entry]:
    """What is known of every name in a directory."""
    query = f"SELECT {COLUMNS}, sha256, version, name FROM file WHERE dir=?"
    return {row[10]: Entry(stat_of(row), row[8], row[9]) for row in db.execute(query, (folder,))}


def below(db: sqlite3.Connection, vault: int, path: bytes) -> Iterator[tuple[bytes, Stat]]:
    """Every path known below a directory, with what was seen; the directory itself is not among them."""
    for folder, folder_path in folders(db, vault, path):
        prefix = folder_path + b"/" if folder_path else b""
        for row in db.execute(f"SELECT {COLUMNS}, name FROM file WHERE dir=? AND name<>x''", (folder,)):
            yield prefix + row[8], stat_of(row)


def folders(db: sqlite3.Connection, vault: int, path: bytes) -> list[tuple[int, bytes]]:
    """The directory and every directory below it: number and path, sorted by path."""
    if not path:
        rows = db.execute("SELECT id, path FROM dir WHERE vault=? ORDER BY path", (vault,)).fetchall()
        return [(int(number), bytes(name)) for number, name in rows]
    # "0" is the byte after "/": this range is exactly what starts with path + "/"
    rows = db.execute(
        "SELECT id, path FROM dir WHERE vault=? AND (path=? OR (path>=? AND path<?)) ORDER BY path",
        (vault, path, path + b"/", path + b"0"),
    ).fetchall()
    return [(int(number), bytes(name)) for number, name in rows]


def forget(db: sqlite3.Connection, vault: int, path: bytes) -> None:
    """Take a path, and everything below it, out of the catalog."""
    for folder, _path in folders(db, vault, path):
        db.execute("DELETE FROM file WHERE dir=?", (folder,))
        db.execute("DELETE FROM dir WHERE id=?", (folder,))
    where, name = split(path)
    db.execute(
        "DELETE FROM file WHERE dir=(SELECT id FROM dir WHERE vault=? AND path=?) AND name=?", (vault, where, name)
    )
