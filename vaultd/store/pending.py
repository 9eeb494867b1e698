"""What is not off-site yet: per target, vault and path.

A row has two grades. While ``unsafe_since`` is set, its content is in no snapshot on that target. When it is NULL the
content is safe
(by an express snapshot, or because there is none: a directory, a deletion) and only a full snapshot is still owed.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vaultd.model import FileKind, Stat
from vaultd.store.catalog import Row

GONE = "-"
CONTENT = (FileKind.FILE.value, FileKind.SYMLINK.value)

UPSERT = (
    "INSERT INTO pending(target, vault, path, seq, kind, size, since, unsafe_since) VALUES(?,?,?,?,?,?,?,?)"
    " ON CONFLICT(target, vault, path) DO UPDATE SET seq=excluded.seq, kind=excluded.kind, size=excluded.size,"
    " unsafe_since=CASE WHEN excluded.unsafe_since IS NOT NULL"
    " THEN coalesce(unsafe_since, excluded.unsafe_since) END,"
    # a file that could not be read may be readable now; one in motion waits for its time
    " attempts=CASE WHEN problem='unread' THEN 0 ELSE attempts END,"
    " not_before=CASE WHEN problem='unread' THEN 0 ELSE not_before END,"
    " problem=CASE WHEN problem='unread' THEN NULL ELSE problem END"
)


class PendingRow(NamedTuple):
    """One path that a target does not have as it is now. ``kind`` is a FileKind's letter, or "-" for gone."""

    path: bytes
    seq: int
    kind: str
    size: int
    since: int
    unsafe_since: int | None
    attempts: int
    not_before: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much of a vault a target lacks.

    ``files`` and ``bytes`` count content that is in no snapshot there and is due; ``owed`` counts every path that no
    full snapshot has;
    ``in_motion`` and ``unread`` those set aside with that problem. ``unsafe_since`` and ``since`` are the oldest of
    each, or None. ``due_since`` is the oldest of what is not set aside for now: a run makes sense only for that.
    """

    files: int
    bytes: int
    owed: int
    in_motion: int
    unread: int
    unsafe_since: int | None
    since: int | None
    due_since: int | None = None


def next_seq(db: sqlite3.Connection) -> int:
    """The next sequence number of a change; only ever grows."""
    seq = int(db.execute("SELECT value FROM meta WHERE key='seq'").fetchone()[0]) + 1
    db.execute("UPDATE meta SET value=? WHERE key='seq'", (str(seq),))
    return seq


def mark(
    db: sqlite3.Connection,
    targets: Iterable[int],
    vault: int,
    seq: int,
    now: int,
    paths: Iterable[tuple[bytes, Stat | None]],
) -> None:
    """Set paths pending for each target; ``None`` means gone."""
    targets = tuple(targets)
    marks: list[tuple[object, ...]] = []
    for path, seen in paths:
        kind = GONE if seen is None else seen.kind.value
        size = 0 if seen is None else seen.size
        unsafe = now if kind in CONTENT else None
        marks.extend((target, vault, path, seq, kind, size, now, unsafe) for target in targets)
    db.executemany(UPSERT, marks)


def mark_rows(
    db: sqlite3.Connection, targets: Iterable[int], vault: int, seq: int, now: int, prefix: bytes, rows: Sequence[Row]
) -> None:
    """Set all that was seen in a directory (``prefix`` ends with a slash, or is empty) pending for each target."""
    for target in targets:
        db.executemany(
            UPSERT,
            (
                (target, vault, prefix + row[0], seq, row[1], row[3], now, now if row[1] in CONTENT else None)
                for row in rows
            ),
        )


def rows(
    db: sqlite3.Connection,
    target: int,
    vault: int,
    *,
    upto: int,
    unsafe: bool,
    due: int | None,
    limit: int,
    after: bytes = b"",
    safe_only: bool = False,
    unread_too: bool = False,
) -> list[PendingRow]:
    """Rows up to a sequence number: content not safe, oldest first (``unsafe``), or by path from ``after`` on, all or
    ``safe_only``. ``due`` (a time) leaves out what is set aside until later; ``unread_too``: not what was unread."""
    where = "target=? AND vault=? AND seq<=?"
    values: list[object] = [target, vault, upto]
    if due is not None:
        where += " AND (not_before<=? OR problem='unread')" if unread_too else " AND not_before<=?"
        values.append(due)
    if safe_only:
        where += " AND unsafe_since IS NULL"
    if unsafe:
        where += " AND unsafe_since IS NOT NULL"
        order = "unsafe_since, seq, path"
    else:
        where += " AND path>?" if after else " AND path>=?"
        values.append(after)
        order = "path"
    query = (
        "SELECT path, seq, kind, size, since, unsafe_since, attempts, not_before, problem FROM pending"
        f" WHERE {where} ORDER BY {order} LIMIT ?"
    )
    return list(map(PendingRow._make, db.execute(query, (*values, limit))))


def unsafe_below(
    db: sqlite3.Connection, target: int, vault: int, folder: bytes, *, direct: bool, limit: int
) -> list[PendingRow]:
    """Due rows of unsafe content below a folder, or only ``direct``ly in it, by path."""
    prefix = folder + b"/" if folder else b""
    where = "target=?1 AND vault=?2 AND path>=?3 AND unsafe_since IS NOT NULL AND not_before<=?4"
    if folder:
        where += " AND path<?5"  # "0" is the byte after "/"
    if direct:
        where += " AND instr(substr(path, ?6), x'2f')=0"
    query = (
        "SELECT path, seq, kind, size, since, unsafe_since, attempts, not_before, problem FROM pending"
        f" WHERE {where} ORDER BY path LIMIT ?7"
    )
    values = (target, vault, prefix, time.time_ns(), folder + b"0", len(prefix) + 1, limit)
    return list(map(PendingRow._make, db.execute(query, values)))


def backlog(db: sqlite3.Connection, target: int, vault: int, now: int) -> Backlog:
    """How much of a vault a target lacks now."""
    row = db.execute(
        "SELECT count(*) FILTER (WHERE unsafe_since IS NOT NULL AND not_before<=?1),"
        " coalesce(sum(size) FILTER (WHERE unsafe_since IS NOT NULL AND not_before<=?1), 0), count(*),"
        " count(*) FILTER (WHERE problem='in-motion'), count(*) FILTER (WHERE problem='unread'),"
        " min(unsafe_since) FILTER (WHERE problem IS NULL), min(since) FILTER (WHERE problem IS NULL),"
        " min(since) FILTER (WHERE not_before<=?1)"
        " FROM pending WHERE target=?2 AND vault=?3",
        (now, target, vault),
    ).fetchone()
    return Backlog(*row)


def mark_unread(
    db: sqlite3.Connection, target: int, vault: int, seq: int, now: int, not_before: int, paths: Iterable[bytes]
) -> None:
    """Set paths aside that a snapshot lacks although nobody knew of a change up to ``seq``: they could not be read."""
    db.executemany(
        "INSERT INTO pending(target, vault, path, seq, kind, size, since, unsafe_since, attempts, not_before, problem)"
        " VALUES(?,?,?,?,?,0,?,?,1,?,'unread') ON CONFLICT(target, vault, path) DO UPDATE SET"
        " attempts=attempts+1, not_before=excluded.not_before, problem='unread' WHERE seq<=excluded.seq",
        [(target, vault, path, seq, FileKind.FILE.value, now, now, not_before) for path in paths],
    )
