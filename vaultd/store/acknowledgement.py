"""What one snapshot settles, written in one transaction: versions, the snapshot, and the backlog that it takes away."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vaultd.model import SnapshotKind, Stat
from vaultd.store import catalog


class Bound(NamedTuple):
    """A path whose stored state is known: ``sha256`` for a regular file, None for anything else.

    ``recorded``: the version is on record already, by another target or an express snapshot.
    """

    path: bytes
    stat: Stat
    sha256: bytes | None
    recorded: bool = False
    sm3: bytes | None = None


class NewVersion(NamedTuple):
    """A file version that goes on record: what ``VersionRow`` says of the fields."""

    path: bytes
    state: str
    size: int
    mtime: int
    sha256: bytes | None
    sm3: bytes | None = None


Put = Callable[[sqlite3.Connection, Sequence[NewVersion]], Sequence[int] | None]
"""Puts the versions of a snapshot, and the snapshot itself after them, into the ledger: their places there. None: they
are noted as owed to it, in the same transaction."""


@dataclass(frozen=True, slots=True)
class Retry:
    """A path that stays pending: why, and not before which time (nanoseconds since 1970).

    One in motion stays unsafe too: what is there is an older moment of it, and it is tried again when its time comes.
    """

    path: bytes
    problem: str | None
    not_before: int


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Everything that one snapshot settles, written in one transaction.

    ``since``: when the oldest change was seen whose content is safe now and was not before. ``settled_all``: everything
    up to ``upto`` whose content is safe; a whole scan has just said that it is as it was.
    """

    change_set: str
    snapshot: str
    target: int
    vault: int
    kind: SnapshotKind
    time: int
    files: int
    total: int
    upto: int
    bound: Sequence[Bound] = ()
    deleted: Sequence[bytes] = ()
    in_motion: Sequence[Bound] = ()
    retry: Sequence[Retry] = ()
    settled: Sequence[bytes] = ()
    settled_all: bool = False
    dump: str | None = None
    digest: bytes | None = None
    since: int | None = None


def write(db: sqlite3.Connection, done: Acknowledgement, put: Put) -> int:
    """Write an acknowledgement inside the caller's transaction. Returns the snapshot's number.

    ``put`` comes first: nothing is acknowledged that is neither in the ledger nor noted as owed to it.

    A path whose sequence number is above ``done.upto`` changed again meanwhile and stays pending. A full snapshot
    takes rows
    away; an express one only makes their content safe.
    """
    versions, bindings = _new_versions(db, done)
    entries = put(db, versions)
    _record_versions(db, done, versions, bindings, entries)
    cursor = db.execute(
        "INSERT INTO snapshot(change_set, snapshot, target, vault, kind, time, acknowledged, files, bytes, versions_to,"
        " exceptions, dump, digest, entry)"
        " VALUES(?,?,?,?,?,?,?,?,?,(SELECT coalesce(max(number), 0) FROM version),?,?,?,?)",
        (
            done.change_set, done.snapshot, done.target, done.vault, done.kind.value, done.time, time.time_ns(),
            done.files, done.total, len(done.retry) + len(done.in_motion), done.dump, done.digest,
            None if entries is None else entries[-1],
        ),
    )  # fmt: skip
    paths = [(done.target, done.vault, path, done.upto) for path in (*done.settled, *(b.path for b in done.bound))]
    if done.kind is SnapshotKind.FULL:
        db.executemany("DELETE FROM pending WHERE target=? AND vault=? AND path=? AND seq<=?", paths)
        if done.settled_all:
            db.execute(
                "DELETE FROM pending"
                " WHERE target=? AND vault=? AND seq<=? AND unsafe_since IS NULL AND problem IS NULL",
                (done.target, done.vault, done.upto),
            )
    else:
        db.executemany(
            "UPDATE pending SET unsafe_since=NULL, attempts=0, problem=NULL, not_before=0"
            " WHERE target=? AND vault=? AND path=? AND seq<=?",
            paths,
        )
    set_aside(db, done.target, done.vault, done.retry)
    return int(cursor.lastrowid or 0)


def set_aside(db: sqlite3.Connection, target: int, vault: int, retry: Iterable[Retry]) -> None:
    """Note failed attempts: the paths stay pending."""
    db.executemany(
        "UPDATE pending SET attempts=attempts+1, problem=?, not_before=? WHERE target=? AND vault=? AND path=?",
        [(again.problem, again.not_before, target, vault, again.path) for again in retry],
    )


def _new_versions(db: sqlite3.Connection, done: Acknowledgement) -> tuple[list[NewVersion], list[Bound]]:
    """The versions that are new on record; the first of them are those of the second list, whose hash is bound."""
    bound = [one for one in done.bound if one.sha256 is not None and not one.recorded]
    found = [NewVersion(one.path, "bound", one.stat.size, one.stat.mtime, one.sha256, one.sm3) for one in bound]
    found += [
        NewVersion(one.path, "in-motion", one.stat.size, one.stat.mtime, one.sha256, one.sm3) for one in done.in_motion
    ]
    for path in done.deleted:
        last = db.execute(
            "SELECT state FROM version WHERE vault=? AND path=? ORDER BY number DESC LIMIT 1", (done.vault, path)
        ).fetchone()
        if last is not None and last[0] != "deleted":
            found.append(NewVersion(path, "deleted", 0, 0, None))
    return found, bound


def _record_versions(
    db: sqlite3.Connection, done: Acknowledgement, versions: Sequence[NewVersion], bound: Sequence[Bound],
    entries: Sequence[int] | None,
) -> None:  # fmt: skip
    now, first = time.time_ns(), 1 + int(db.execute("SELECT coalesce(max(number), 0) FROM version").fetchone()[0])
    db.executemany(
        "INSERT INTO version(number, vault, path, state, size, mtime, sha256, sm3, change_set, recorded, entry)"
        " VALUES(?,?,?,?,?,?,?,?,?,?,?)",
        (
            (first + at, done.vault, *one, done.change_set, now, None if entries is None else entries[at])
            for at, one in enumerate(versions)
        ),
    )
    folders: dict[bytes, int | None] = {}
    bindings: list[tuple[object, ...]] = []
    for at, one in enumerate(bound):
        where, name = catalog.split(one.path)
        if where not in folders:
            folders[where] = catalog.folder_id(db, done.vault, where)
        bindings.append((one.sha256, first + at, folders[where], name, *one.stat[1:5]))
    db.executemany(
        "UPDATE file SET sha256=?, version=? WHERE dir=? AND name=? AND inode=? AND size=? AND mtime=? AND ctime=?",
        bindings,
    )
