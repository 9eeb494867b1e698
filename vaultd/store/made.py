"""What was made: runs, acknowledged snapshots and the versions in them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence

from vaultd.model import SnapshotKind
from vaultd.store import acknowledgement, records, staging
from vaultd.store.acknowledgement import Acknowledgement, Put
from vaultd.store.owed import OwedStore
from vaultd.store.records import RunRow, SnapshotRow, VersionRow
from vaultd.store.staging import NewVersion

LOCK_SLACK_NS = 5 * 60 * 10**9


class MadeStore(OwedStore):
    """Runs, snapshots and versions. An acknowledgement takes from the backlog what it settles."""

    def begin_run(self, run: str, target: int, vault: int, kind: SnapshotKind, beside: str = "") -> None:
        """A run is about to start. There is one at a time on a target, but for the one that it is started ``beside``:
        one before it whose end could not be written, because the disk was full, is over too."""
        with self.database.write() as db:
            db.execute(
                "UPDATE run SET state='failed', finished=?, seconds=0, error='state'"
                " WHERE target=? AND state='running' AND id<>?",
                (time.time_ns(), target, beside),
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

    def refused_run(self, run: str) -> bool:
        """Whether the change set's run ended because its folder was not what it should be (error "root")."""
        found = self._db.execute("SELECT 1 FROM run WHERE id=? AND error='root'", (run,))
        return found.fetchone() is not None

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

    def acknowledge(self, done: Acknowledgement, put: Put) -> int:
        """Record versions and the snapshot, and take what it settles off the backlog. Returns the snapshot's number.

        ``put`` puts them into the ledger, before anything is acknowledged.
        """
        with self.database.write() as db:
            staging.prepare(db)
            return acknowledgement.write(db, done, put)

    def stage(self, run: str, vault: int, first: int, versions: Sequence[NewVersion]) -> None:
        """Have versions ready for the acknowledgement of a change set, behind the ``first`` ones: they count with it,
        and not before."""
        with self.database.write() as db:
            staging.prepare(db)
            staging.add(db, run, vault, first, versions)

    def unstage(self, run: str, places: Collection[int] | None = None) -> None:
        """Take what was staged back: the versions at some places, or all."""
        with self.database.write() as db:
            staging.prepare(db)
            if places is None:
                staging.forget(db, run)
            else:
                staging.leave_out(db, run, places)

    def newest_version(self) -> int:
        """The number of the newest version, 0 when there is none."""
        return int(self._db.execute("SELECT coalesce(max(number), 0) FROM version").fetchone()[0])

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

    def note_forgotten(self, target: int, snapshots: Iterable[str]) -> None:
        """These were removed from a target on purpose: they are not missed there."""
        now = time.time_ns()
        with self.database.write() as db:
            db.executemany(
                "UPDATE snapshot SET forgotten=?, missing=coalesce(missing, ?) WHERE target=? AND snapshot=?",
                [(now, now, target, one) for one in snapshots],
            )

    def forgotten(self, target: int) -> set[str]:
        """The ids of what was removed from a target on purpose."""
        query = "SELECT snapshot FROM snapshot WHERE target=? AND forgotten IS NOT NULL"
        return {row[0] for row in self._db.execute(query, (target,))}

    def note_rewritten(self, target: int, ids: Mapping[str, str]) -> None:
        """Snapshots go by other ids now (old id -> new one): something was taken out of them on purpose."""
        with self.database.write() as db:
            db.executemany(
                "UPDATE snapshot SET snapshot=?, missing=NULL WHERE target=? AND snapshot=?",
                [(new, target, old) for old, new in ids.items()],
            )

    def had_files(self, vault: int) -> bool:
        """Whether the newest full snapshot of a vault, or any express one while there is no full one, held files."""
        row = self._db.execute(
            "SELECT files FROM snapshot WHERE vault=? AND kind<>'dump' AND missing IS NULL"
            " ORDER BY kind='full' DESC, number DESC LIMIT 1",
            (vault,),
        ).fetchone()
        return bool(row and row[0])

    def snapshots(self, vault: int | None = None, limit: int = 10_000) -> list[SnapshotRow]:
        """Acknowledged snapshots, newest first."""
        return records.snapshot_list(self._db, vault=vault, limit=limit)

    def versions(self, vault: int, path: bytes | None = None) -> Iterable[VersionRow]:
        """File versions in the order in which they were recorded."""
        return records.versions(self._db, vault, path)

    def current_versions(self, vault: int) -> Iterable[VersionRow]:
        """The newest version of each path that was not deleted since."""
        return records.current_versions(self._db, vault)
