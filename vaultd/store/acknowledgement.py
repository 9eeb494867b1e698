"""What one snapshot settles, written in one transaction: versions, the snapshot, and the backlog that it takes away."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vaultd.model import SnapshotKind, Stat
from vaultd.store import staging
from vaultd.store.staging import NewVersion


class Bound(NamedTuple):
    """A path whose stored state is known: ``sha256`` for a regular file, None for anything else.

    ``recorded``: the version is on record already, by another target or an express snapshot.
    """

    path: bytes
    stat: Stat
    sha256: bytes | None
    recorded: bool = False
    sm3: bytes | None = None


Put = Callable[[sqlite3.Connection, Sequence[NewVersion]], int | None]
"""Puts the versions of a snapshot into the ledger, those that are staged first, and the snapshot itself after them: the
place of the first there, the others follow it. None: they are noted as owed to it, in the same transaction."""


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
    """Everything that one snapshot settles, written in one transaction. What is staged for its change set comes to
    ``bound``, all of it (``store.staging``).

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
    takes rows away; an express one only makes their content safe.
    """
    run, now = done.change_set, time.time_ns()
    staged, versions = staging.count(db, run), _new_versions(db, done)
    first = put(db, versions)
    _settle(db, done, "path IN (SELECT path FROM staged WHERE run=?)", [run])
    _settle(db, done, "path=?", [*done.settled, *(one.path for one in done.bound)])
    staging.add(db, run, done.vault, staged, versions)
    staging.record(db, run, done.vault, now, first)
    staging.forget(db, run)
    cursor = db.execute(
        "INSERT INTO snapshot(change_set, snapshot, target, vault, kind, time, acknowledged, files, bytes, versions_to,"
        " exceptions, dump, digest, entry)"
        " VALUES(?,?,?,?,?,?,?,?,?,(SELECT coalesce(max(number), 0) FROM version),?,?,?,?)",
        (
            run, done.snapshot, done.target, done.vault, done.kind.value, done.time, now, done.files, done.total,
            len(done.retry) + len(done.in_motion), done.dump, done.digest,
            None if first is None else first + staged + len(versions),
        ),
    )  # fmt: skip
    if done.kind is SnapshotKind.FULL and done.settled_all:
        db.execute(
            "DELETE FROM pending WHERE target=? AND vault=? AND seq<=? AND unsafe_since IS NULL AND problem IS NULL",
            (done.target, done.vault, done.upto),
        )
    set_aside(db, done.target, done.vault, done.retry)
    return int(cursor.lastrowid or 0)


def _settle(db: sqlite3.Connection, done: Acknowledgement, which: str, values: Sequence[object]) -> None:
    """Take paths off the backlog that have not changed since; after an express snapshot an exact one is still owed."""
    where = f"target=? AND vault=? AND seq<=? AND {which}"
    rows = [(done.target, done.vault, done.upto, value) for value in values]
    if done.kind is SnapshotKind.FULL:
        db.executemany(f"DELETE FROM pending WHERE {where}", rows)
    else:
        db.executemany(
            f"UPDATE pending SET unsafe_since=NULL, attempts=0, problem=NULL, not_before=0 WHERE {where}", rows
        )


def set_aside(db: sqlite3.Connection, target: int, vault: int, retry: Iterable[Retry]) -> None:
    """Note failed attempts: the paths stay pending."""
    db.executemany(
        "UPDATE pending SET attempts=attempts+1, problem=?, not_before=? WHERE target=? AND vault=? AND path=?",
        [(again.problem, again.not_before, target, vault, again.path) for again in retry],
    )


def _new_versions(db: sqlite3.Connection, done: Acknowledgement) -> list[NewVersion]:
    """The versions that are new on record, beside those that are staged."""
    found = [bound_version(one) for one in done.bound if one.sha256 is not None and not one.recorded]
    found += [
        NewVersion(one.path, "in-motion", one.stat.size, one.stat.mtime, one.sha256, one.sm3) for one in done.in_motion
    ]
    for path in done.deleted:
        last = db.execute(
            "SELECT state FROM version WHERE vault=? AND path=? ORDER BY number DESC LIMIT 1", (done.vault, path)
        ).fetchone()
        if last is not None and last[0] != "deleted":
            found.append(NewVersion(path, "deleted", 0, 0, None, None))
    return found


def bound_version(one: Bound) -> NewVersion:
    """The version of a path whose hash is bound to its state in the catalog."""
    seen = one.stat
    return NewVersion(one.path, "bound", seen.size, seen.mtime, one.sha256, one.sm3, seen.inode, seen.ctime)
