"""What the targets lack: the backlog side of the store."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from vaultd.model import Stat
from vaultd.store import catalog, pending
from vaultd.store.base import StoreBase
from vaultd.store.pending import Backlog, PendingRow


class OwedStore(StoreBase):
    """The backlog of each vault at each target."""

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

    def backlog(self, target: int, vault: int) -> Backlog:
        """How much of a vault a target lacks."""
        return pending.backlog(self._db, target, vault, time.time_ns())

    def nowhere(self, vault: int, targets: Sequence[int]) -> tuple[int, int]:
        """How much content of a vault none of these targets has, one at least: files, bytes."""
        query = "SELECT count(*), coalesce(sum(size), 0) FROM pending AS one WHERE target=? AND vault=?"
        query += " AND unsafe_since IS NOT NULL"
        for _target in targets[1:]:
            query += (
                " AND EXISTS(SELECT 1 FROM pending WHERE target=? AND vault=one.vault AND path=one.path"
                " AND unsafe_since IS NOT NULL)"
            )
        files, size = self._db.execute(query, (targets[0], vault, *targets[1:])).fetchone()
        return int(files), int(size)

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

    def count_changed(self, target: int, vault: int) -> int:
        """How many files with a version have content that is in no snapshot there."""
        row = self._db.execute(
            "SELECT count(*) FROM pending WHERE target=? AND vault=? AND kind='f' AND unsafe_since IS NOT NULL AND"
            " EXISTS(SELECT 1 FROM version WHERE vault=pending.vault AND path=pending.path)",
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
            seq, now = pending.next_seq(db), time.time_ns()
            folder = catalog.folder_id(db, vault, b"")
            root = None if folder is None else catalog.get(db, folder, b"")
            seen: list[tuple[bytes, Stat | None]] = list(catalog.below(db, vault, b""))
            if root is not None:
                seen.append((b"", root.stat))
            pending.mark(db, (target,), vault, seq, now, seen)
        return len(seen)

    def owe_nothing(self, target: int) -> int:
        """A target that is none any more is owed nothing. Returns how many paths it was."""
        with self.database.write() as db:
            return db.execute("DELETE FROM pending WHERE target=?", (target,)).rowcount

    def clock_was_set_back(self, now: int) -> int:
        """Nothing may wait for a moment, or be as young as one, that the clock will only come to again. Returns how
        many paths were concerned."""
        with self.database.write() as db:
            return db.execute(
                "UPDATE pending SET not_before=min(not_before, ?1), since=min(since, ?1),"
                " unsafe_since=min(unsafe_since, ?1) WHERE not_before>?1 OR since>?1 OR unsafe_since>?1",
                (now,),
            ).rowcount
