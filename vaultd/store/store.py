"""The state database as the rest of vaultd sees it: each public method is one question or one transaction.

Safe to use from several threads, and from several processes (the reconcile scan runs in its own).
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from vaultd.model import SnapshotKind, Stat
from vaultd.store import acknowledgement, catalog, pending, records
from vaultd.store.acknowledgement import Acknowledgement
from vaultd.store.alerts import Alerts
from vaultd.store.catalog import Entry
from vaultd.store.database import Database
from vaultd.store.pending import Backlog, PendingRow
from vaultd.store.records import RunRow, SnapshotRow, VersionRow

FEW_IN_FOLDER = 20
LOCK_SLACK_NS = 5 * 60 * 10**9


class Store:
    """The state database. Raises StateError when it is missing, damaged or of a newer version."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.database = Database(path, read_only=read_only)
        self.alerts = Alerts(self.database)
        self._ids: dict[tuple[str, str], int] = {}

    def close(self) -> None:
        """Close every connection."""
        self.database.close()

    @property
    def _db(self) -> sqlite3.Connection:
        return self.database.reader()

    @contextlib.contextmanager
    def one_moment(self) -> Iterator[None]:
        """What this thread reads inside is all of one moment, whatever is written meanwhile."""
        db = self._db
        db.execute("BEGIN")
        try:
            yield
        finally:
            db.execute("COMMIT")

    # names and counters

    def _id(self, table: str, name: str) -> int:
        known = self._ids.get((table, name))
        if known is not None:
            return known
        row = self._db.execute(f"SELECT id FROM {table} WHERE name=?", (name,)).fetchone()
        if row is None:
            with self.database.write() as db:
                db.execute(f"INSERT OR IGNORE INTO {table}(name) VALUES(?)", (name,))
                row = db.execute(f"SELECT id FROM {table} WHERE name=?", (name,)).fetchone()
        self._ids[table, name] = int(row[0])
        return int(row[0])

    def vault_id(self, name: str) -> int:
        """The number of a vault, given on first use."""
        return self._id("vault", name)

    def target_id(self, name: str) -> int:
        """The number of a target, given on first use."""
        return self._id("target", name)

    def known(self, table: str, name: str) -> int | None:
        """The number of a vault or target (``table``), or None; never makes one."""
        row = self._db.execute(f"SELECT id FROM {table} WHERE name=?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def target_repository(self, name: str) -> str | None:
        """The repository id that was seen when the target was added."""
        row = self._db.execute("SELECT repository FROM target WHERE name=?", (name,)).fetchone()
        return None if row is None else row[0]

    def pin_repository(self, name: str, repository: str) -> None:
        """Keep the repository's id: another one at the same place is refused later."""
        number = self.target_id(name)
        with self.database.write() as db:
            db.execute("UPDATE target SET repository=? WHERE id=?", (repository, number))

    def get_meta(self, key: str) -> str | None:
        """A value kept under a key."""
        row = self._db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Keep a value under a key."""
        with self.database.write() as db:
            db.execute("INSERT INTO meta VALUES(?,?) ON CONFLICT(key) DO UPDATE SET value=excluded.value", (key, value))

    def meta_keys(self, prefix: str) -> list[str]:
        """The keys that begin with ``prefix`` and have a value."""
        query = "SELECT key FROM meta WHERE substr(key, 1, ?)=? AND value<>''"
        return [row[0] for row in self._db.execute(query, (len(prefix), prefix))]

    def seq(self) -> int:
        """The sequence number of the newest change."""
        return int(self.get_meta("seq") or 0)

    def next_order(self) -> int:
        """The next running number for a change set; only ever grows."""
        with self.database.write():
            order = self.get_order() + 1
            self.set_meta("order", str(order))
        return order

    def get_order(self) -> int:
        """The newest running number given to a change set."""
        with self.database.write() as db:  # the writer sees its own uncommitted number
            row = db.execute("SELECT value FROM meta WHERE key='order'").fetchone()
        return 0 if row is None else int(row[0])

    # what is seen

    def observe(
        self, vault: int, targets: Iterable[int], changed: Iterable[tuple[bytes, Stat]], gone: Iterable[bytes] = ()
    ) -> int:
        """Keep what was seen and mark it pending for each target, in one transaction. Returns how many paths.

        A gone directory takes everything known below it along; so does a directory that became something else.
        """
        now, count, targets = time.time_ns(), 0, tuple(targets)
        with self.database.write() as db:
            seq = int(db.execute("SELECT value FROM meta WHERE key='seq'").fetchone()[0]) + 1
            db.execute("UPDATE meta SET value=? WHERE key='seq'", (str(seq),))
            lost: list[tuple[bytes, Stat | None]] = []
            for path in gone:
                lost.extend((name, None) for name, _stat in catalog.below(db, vault, path))
                lost.append((path, None))
                catalog.forget(db, vault, path)
            folders: dict[bytes, int] = {}
            known_folders: dict[bytes, set[bytes]] = {}
            marks: list[tuple[bytes, Stat | None]] = []
            rows: list[tuple[int, bytes, Stat]] = []
            for path, seen in changed:
                where, name = catalog.split(path)
                if where not in folders:
                    folders[where] = catalog.make_folder_id(db, vault, where)
                if where not in known_folders:
                    known_folders[where] = catalog.folder_names(db, folders[where])
                if seen.kind == "d":
                    folders[path] = catalog.make_folder_id(db, vault, path)
                elif name in known_folders[where]:  # a directory became something else
                    lost.extend((below, None) for below, _stat in catalog.below(db, vault, path))
                    catalog.forget(db, vault, path)
                rows.append((folders[where], name, seen))
                marks.append((path, seen))
            catalog.put_all(db, rows)
            pending.mark(db, targets, vault, seq, now, [*lost, *marks])
            count = len(lost) + len(marks)
        return count

    def entries(self, vault: int, paths: Iterable[bytes]) -> dict[bytes, Entry]:
        """What the catalog knows of these paths; those that it does not know are left out."""
        db, found = self._db, dict[bytes, Entry]()
        folders: dict[bytes, list[bytes]] = {}
        for path in paths:
            folders.setdefault(catalog.split(path)[0], []).append(path)
        for where, wanted in folders.items():
            folder = catalog.folder_id(db, vault, where)
            if folder is None:
                continue
            if len(wanted) < FEW_IN_FOLDER:
                known = {p: catalog.get(db, folder, catalog.split(p)[1]) for p in wanted}
                found.update((path, entry) for path, entry in known.items() if entry is not None)
            else:  # one query instead of many; a folder with many more names than wanted is rare
                names = catalog.entries_in(db, folder)
                start = len(where) + 1 if where else 0
                found.update((path, names[path[start:]]) for path in wanted if path[start:] in names)
        return found

    def known_files(self, vault: int) -> int:
        """How many paths the catalog has of a vault, its folder not counted."""
        row = self._db.execute(
            "SELECT count(*) FROM file JOIN dir ON file.dir=dir.id WHERE dir.vault=? AND file.name<>x''", (vault,)
        ).fetchone()
        return int(row[0])

    def had_files(self, vault: int) -> bool:
        """Whether the newest full snapshot of a vault, or any express one while there is no full one, held files."""
        row = self._db.execute(
            "SELECT files FROM snapshot WHERE vault=? AND kind<>'dump' AND missing IS NULL"
            " ORDER BY kind='full' DESC, number DESC LIMIT 1",
            (vault,),
        ).fetchone()
        return bool(row and row[0])

    def is_empty(self, vault: int) -> bool:
        """Whether the catalog has nothing of a vault but its folder."""
        row = self._db.execute(
            "SELECT 1 FROM dir JOIN file ON file.dir=dir.id WHERE dir.vault=? AND file.name<>x'' LIMIT 1", (vault,)
        ).fetchone()
        return row is None

    def folder_sizes(self, vault: int, target: int) -> list[tuple[bytes, int, int]]:
        """Of each directory with unsafe content that is due there: path, files directly in it, their bytes; by path."""
        sizes: dict[bytes, list[int]] = {}
        query = (
            "SELECT path, size FROM pending WHERE target=? AND vault=? AND unsafe_since IS NOT NULL AND not_before<=?"
        )
        for path, size in self._db.execute(query, (target, vault, time.time_ns())):
            entry = sizes.setdefault(path.rpartition(b"/")[0], [0, 0])
            entry[0] += 1
            entry[1] += size
        return [(path, count, total) for path, (count, total) in sorted(sizes.items())]

    def set_totals(self, vault: int, files: int, total: int, complete_as_of: int | None) -> None:
        """Keep what a whole scan counted, and when it began (None: it was not complete)."""
        with self.database.write() as db:
            db.execute(
                "UPDATE vault SET files=?, bytes=?, complete_as_of=coalesce(?, complete_as_of) WHERE id=?",
                (files, total, complete_as_of, vault),
            )

    def totals(self, vault: int) -> tuple[int, int, int | None]:
        """Files, bytes and "complete as of" of the last whole scan."""
        row = self._db.execute("SELECT files, bytes, complete_as_of FROM vault WHERE id=?", (vault,)).fetchone()
        return (0, 0, None) if row is None else (row[0], row[1], row[2])

    def accept(self, vault: int, meant: bool) -> None:
        """The operator says (or it is over) that an emptied folder or a missing mount is meant."""
        with self.database.write() as db:
            db.execute("UPDATE vault SET accepted=? WHERE id=?", (int(meant), vault))

    def accepted(self, vault: int) -> bool:
        """Whether an emptied folder or a missing mount was said to be meant."""
        row = self._db.execute("SELECT accepted FROM vault WHERE id=?", (vault,)).fetchone()
        return bool(row and row[0])

    # mounts inside a vault

    def mounts(self, vault: int) -> dict[bytes, str]:
        """The mounts known inside a vault: path and identity; the vault's own folder under b""."""
        return dict(self._db.execute("SELECT path, identity FROM mount WHERE vault=?", (vault,)).fetchall())

    def set_mount(self, vault: int, path: bytes, identity: str | None) -> None:
        """Keep a mount's identity; None forgets it."""
        with self.database.write() as db:
            db.execute("DELETE FROM mount WHERE vault=? AND path=?", (vault, path))
            if identity is not None:
                db.execute("INSERT INTO mount VALUES(?,?,?)", (vault, path, identity))

    # the backlog

    def pending_rows(
        self, target: int, vault: int, *, upto: int | None = None, unsafe: bool = False, due: int | None = None,
        limit: int = 1_000_000, after: bytes = b"", safe_only: bool = False, unread_too: bool = False,
    ) -> list[PendingRow]:  # fmt: skip
        """Rows of the backlog: see ``pending.rows``."""
        upto = 2**62 if upto is None else upto
        return pending.rows(
            self._db, target, vault, upto=upto, unsafe=unsafe, due=due, limit=limit, after=after, safe_only=safe_only,
            unread_too=unread_too,
        )  # fmt: skip

    def unsafe_below(self, target: int, vault: int, folder: bytes, *, direct: bool, limit: int) -> list[PendingRow]:
        """Due rows of unsafe content below a folder: see ``pending.unsafe_below``."""
        return pending.unsafe_below(self._db, target, vault, folder, direct=direct, limit=limit)

    def backlog(self, target: int, vault: int) -> Backlog:
        """How much of a vault a target lacks."""
        return pending.backlog(self._db, target, vault, time.time_ns())

    def count_owed(self, target: int, vault: int, upto: int) -> int:
        """How many paths up to a sequence number have safe content and wait for a full snapshot only."""
        row = self._db.execute(
            "SELECT count(*) FROM pending WHERE target=? AND vault=? AND seq<=? AND unsafe_since IS NULL",
            (target, vault, upto),
        ).fetchone()
        return int(row[0])

    def gone_rows(self, target: int, vault: int, upto: int) -> list[bytes]:
        """The paths up to a sequence number that are gone."""
        rows = self._db.execute(
            "SELECT path FROM pending WHERE target=? AND vault=? AND seq<=? AND kind='-'", (target, vault, upto)
        )
        return [row[0] for row in rows]

    def count_gone(self, target: int, vault: int) -> int:
        """How many paths with a version are gone and not yet settled there."""
        row = self._db.execute(
            "SELECT count(*) FROM pending WHERE target=? AND vault=? AND kind='-' AND"
            " (SELECT state FROM version WHERE vault=pending.vault AND path=pending.path ORDER BY number DESC LIMIT 1)"
            " IN ('bound', 'in-motion')",
            (target, vault),
        ).fetchone()
        return int(row[0])

    def count_with_versions(self, vault: int, paths: Iterable[bytes]) -> int:
        """How many of these paths have a version already."""
        query = "SELECT 1 FROM version WHERE vault=? AND path=? LIMIT 1"
        return sum(self._db.execute(query, (vault, path)).fetchone() is not None for path in paths)

    def next_due(self, target: int, vault: int) -> int | None:
        """When the earliest set-aside path may be tried again (nanoseconds), None when there is none pending."""
        row = self._db.execute(
            "SELECT min(not_before) FROM pending WHERE target=? AND vault=?", (target, vault)
        ).fetchone()
        return None if row is None else row[0]

    def mark_all(self, target: int, vault: int) -> int:
        """Owe a target everything the catalog has: for a target that is new to a vault. Returns how many paths."""
        with self.database.write() as db:
            seq = int(db.execute("SELECT value FROM meta WHERE key='seq'").fetchone()[0]) + 1
            db.execute("UPDATE meta SET value=? WHERE key='seq'", (str(seq),))
            now = time.time_ns()
            folder = catalog.folder_id(db, vault, b"")
            root = None if folder is None else catalog.get(db, folder, b"")
            seen: list[tuple[bytes, Stat | None]] = list(catalog.below(db, vault, b""))
            if root is not None:
                seen.append((b"", root.stat))
            pending.mark(db, (target,), vault, seq, now, seen)
        return len(seen)

    # runs and acknowledgement

    def begin_run(self, run: str, target: int, vault: int, kind: SnapshotKind) -> None:
        """A run is about to start. There is one at a time on a target: one before it whose end could not be written,
        because the disk was full, is over too."""
        with self.database.write() as db:
            db.execute(
                "UPDATE run SET state='failed', finished=?, seconds=0, error='state'"
                " WHERE target=? AND state='running'",
                (time.time_ns(), target),
            )
            db.execute(
                "INSERT INTO run(id, target, vault, kind, state, started) VALUES(?,?,?,?,'running',?)",
                (run, target, vault, kind.value, time.time_ns()),
            )

    def set_process(self, run: str, pid: int, start_time: int, boot_id: str) -> None:
        """The process that is about to become restic; recorded before it does."""
        with self.database.write() as db:
            db.execute("UPDATE run SET pid=?, start_time=?, boot_id=? WHERE id=?", (pid, start_time, boot_id, run))

    def end_run(
        self,
        run: str,
        state: str,
        seconds: float,
        *,
        files: int = 0,
        total: int = 0,
        sent: int = 0,
        error: str | None = None,
    ) -> None:
        """The run is over: "done", "partial", "failed" or "unclaimed"."""
        with self.database.write() as db:
            db.execute(
                "UPDATE run SET state=?, finished=?, seconds=?, files=?, bytes=?, sent=?, error=? WHERE id=?",
                (state, time.time_ns(), seconds, files, total, sent, error, run),
            )

    def mark_unclaimed(self, run: str) -> bool:
        """A snapshot of this change set exists but was never acknowledged. True when that was news."""
        if self._db.execute("SELECT 1 FROM snapshot WHERE change_set=?", (run,)).fetchone() is not None:
            return False
        with self.database.write() as db:
            found = db.execute("UPDATE run SET state='unclaimed' WHERE id=? AND state='failed'", (run,))
        return found.rowcount > 0

    def target_names(self, numbers: Iterable[int]) -> list[str]:
        """The names of targets by their numbers."""
        names = dict(self._db.execute("SELECT id, name FROM target").fetchall())
        return [names[number] for number in numbers if number in names]

    def note_time(self, moment: int) -> None:
        """A snapshot has this time (nanoseconds since 1970): younger ones must have a later one."""
        with self.database.write():
            if moment > self.last_time():
                self.set_meta("last_time", str(moment))

    def last_time(self) -> int:
        """The latest time that any snapshot has got, 0 when there is none."""
        return int(self.get_meta("last_time") or 0)

    def clock_was_set_back(self, now: int) -> int:
        """Nothing may wait for a moment, or be as young as one, that the clock will only come to again. Returns how
        many paths were concerned."""
        with self.database.write() as db:
            return db.execute(
                "UPDATE pending SET not_before=min(not_before, ?1), since=min(since, ?1),"
                " unsafe_since=min(unsafe_since, ?1) WHERE not_before>?1 OR since>?1 OR unsafe_since>?1",
                (now,),
            ).rowcount

    def raise_order(self, minimum: int) -> None:
        """Make the next running number larger than one that was met in a repository."""
        if self.get_order() < minimum:
            self.set_meta("order", str(minimum))

    def runs(self, *, state: str | None = None, target: int | None = None, limit: int = 1000) -> list[RunRow]:
        """Runs, newest first."""
        return records.runs(self._db, state=state, target=target, limit=limit)

    def is_our_dead_run(self, pid: int, lock_time: int) -> bool:
        """Whether a restic lock (its pid and time, nanoseconds) was left by a run of this vaultd that is over.

        The lock must be from between five minutes before that run's start and its end: a pid comes round again.
        """
        row = self._db.execute(
            "SELECT count(*) FROM run WHERE pid=? AND state<>'running'"
            # the clock may have been set back before it was found to be over
            " AND started-?<=? AND (finished IS NULL OR ?<=max(started, finished)+?)",
            (pid, LOCK_SLACK_NS, lock_time, lock_time, LOCK_SLACK_NS),
        ).fetchone()
        return bool(row[0])

    def acknowledge(self, done: Acknowledgement) -> int:
        """Record versions and the snapshot, and take what it settles off the backlog. Returns the snapshot's number."""
        with self.database.write() as db:
            return acknowledgement.write(db, done)

    def last_snapshot(self, target: int, vault: int, kind: SnapshotKind) -> SnapshotRow | None:
        """The newest acknowledged snapshot of a kind."""
        return records.last_snapshot(self._db, target, vault, kind)

    def newest_snapshot(self, target: int) -> int:
        """The number of the newest acknowledged snapshot of any vault there, 0 when there is none."""
        row = self._db.execute("SELECT coalesce(max(number), 0) FROM snapshot WHERE target=?", (target,)).fetchone()
        return int(row[0])

    def note_missing(self, target: int, there: set[str]) -> dict[int, int]:
        """Compare what was acknowledged with the ids that a repository lists.

        A vault whose newest full snapshot is gone, or an express one that is younger, is owed everything again. Returns
        for each such vault how many of its snapshots are gone. Older ones may go: that is retention.
        """
        now, lost = time.time_ns(), dict[int, int]()
        with self.database.write() as db:
            rows = db.execute(
                "SELECT number, snapshot, vault, kind FROM snapshot WHERE target=? AND kind<>'dump' AND missing IS NULL"
                " ORDER BY number DESC",
                (target,),
            ).fetchall()
            whole: set[int] = set()
            gone = [(now, number) for number, snapshot, _vault, _kind in rows if snapshot not in there]
            for _number, snapshot, vault, kind in rows:
                if vault in whole:
                    continue
                if snapshot not in there:
                    lost[vault] = 0
                elif kind == SnapshotKind.FULL.value:
                    whole.add(vault)
            for _number, snapshot, vault, _kind in rows:
                if vault in lost and snapshot not in there:
                    lost[vault] += 1
            db.executemany("UPDATE snapshot SET missing=? WHERE number=?", gone)
            for vault in lost:
                self.mark_all(target, vault)
        return lost

    def vault_names(self) -> dict[int, str]:
        """The names of vaults by their numbers."""
        return dict(self._db.execute("SELECT id, name FROM vault").fetchall())

    def snapshots(self, vault: int | None = None, limit: int = 10_000) -> list[SnapshotRow]:
        """Acknowledged snapshots, newest first."""
        return records.snapshot_list(self._db, vault=vault, limit=limit)

    def versions(self, vault: int, path: bytes | None = None) -> Iterable[VersionRow]:
        """File versions in the order in which they were recorded."""
        return records.versions(self._db, vault, path)

    def current_versions(self, vault: int) -> Iterable[VersionRow]:
        """The newest version of each path that was not deleted since."""
        return records.current_versions(self._db, vault)
