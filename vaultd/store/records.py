"""Runs of restic, the snapshots that they made, and the file versions bound to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from vaultd.model import SnapshotKind


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of restic for a change set. ``start_time`` is in clock ticks since boot, as in /proc/PID/stat."""

    id: str
    target: int
    vault: int
    kind: str
    state: str
    pid: int | None
    start_time: int | None
    boot_id: str | None
    started: int
    finished: int | None
    seconds: float | None
    files: int
    bytes: int
    sent: int
    error: str | None


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """A snapshot that was acknowledged."""

    number: int
    change_set: str
    snapshot: str
    target: int
    vault: int
    kind: str
    time: int
    acknowledged: int
    files: int
    total: int
    versions_to: int
    exceptions: int
    dump: str | None
    digest: bytes | None


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A file version: the hash of what a snapshot stored, or a deletion."""

    number: int
    vault: int
    path: bytes
    state: str
    size: int
    mtime: int
    sha256: bytes | None
    change_set: str
    recorded: int


_RUN = "id, target, vault, kind, state, pid, start_time, boot_id, started, finished, seconds, files, bytes, sent, error"
_SNAPSHOT = (
    "number, change_set, snapshot, target, vault, kind, time, acknowledged, files, bytes, versions_to, exceptions,"
    " dump, digest"
)
_VERSION = "number, vault, path, state, size, mtime, sha256, change_set, recorded"


def runs(
    db: sqlite3.Connection, *, state: str | None = None, target: int | None = None, limit: int = 1000
) -> list[RunRow]:
    """Runs, newest first."""
    where, values = "1", list[object]()
    if state is not None:
        where, values = where + " AND state=?", [*values, state]
    if target is not None:
        where, values = where + " AND target=?", [*values, target]
    found = db.execute(f"SELECT {_RUN} FROM run WHERE {where} ORDER BY id DESC LIMIT ?", (*values, limit))
    return [RunRow(*row) for row in found]


def last_snapshot(db: sqlite3.Connection, target: int, vault: int, kind: SnapshotKind) -> SnapshotRow | None:
    """The newest acknowledged snapshot of a kind."""
    row = db.execute(
        f"SELECT {_SNAPSHOT} FROM snapshot WHERE target=? AND vault=? AND kind=?"
        " AND missing IS NULL ORDER BY number DESC LIMIT 1",
        (target, vault, kind.value),
    ).fetchone()
    return None if row is None else SnapshotRow(*row)


def snapshot_list(db: sqlite3.Connection, *, vault: int | None = None, limit: int = 10_000) -> list[SnapshotRow]:
    """Acknowledged snapshots, newest first."""
    where, values = ("vault=?", [vault]) if vault is not None else ("1", [])
    found = db.execute(f"SELECT {_SNAPSHOT} FROM snapshot WHERE {where} ORDER BY number DESC LIMIT ?", (*values, limit))
    return [SnapshotRow(*row) for row in found]


def versions(db: sqlite3.Connection, vault: int, path: bytes | None = None) -> Iterable[VersionRow]:
    """File versions in the order in which they were recorded."""
    if path is None:
        found = db.execute(f"SELECT {_VERSION} FROM version WHERE vault=? ORDER BY number", (vault,))
    else:
        found = db.execute(f"SELECT {_VERSION} FROM version WHERE vault=? AND path=? ORDER BY number", (vault, path))
    return (VersionRow(*row) for row in found)


def current_versions(db: sqlite3.Connection, vault: int) -> Iterable[VersionRow]:
    """The newest version of each path that was not deleted since."""
    found = db.execute(
        f"SELECT {_VERSION} FROM version WHERE number IN"
        " (SELECT max(number) FROM version WHERE vault=? GROUP BY path) AND state<>'deleted' ORDER BY path",
        (vault,),
    )
    return (VersionRow(*row) for row in found)
