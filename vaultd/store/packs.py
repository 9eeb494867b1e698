"""The packs of the repositories: which there are by the index, and which were read back, whole, and when."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from vaultd.store.verified import VerifiedStore

_AGAIN_NS = 86400 * 10**9
"""A pack that was found to be damaged is looked at again after this time."""


@dataclass(frozen=True, slots=True)
class PackCoverage:
    """How much of what a target stores was read back since a moment. ``oldest``: when the pack that was read back
    longest ago was, or, of those that never were, when it was seen first. ``faults``: packs that are not whole."""

    packs: int
    bytes: int
    read_packs: int
    read_bytes: int
    oldest: int | None
    faults: int


class PackStore(VerifiedStore):
    """Packs of targets (by their numbers); ids are SHA-256."""

    def set_packs(self, target: int, found: Iterable[tuple[bytes, int]]) -> None:
        """These (id, size) are all that the index of a target names. What is known of those that stay, stays."""
        now = time.time_ns()
        with self.database.write() as db:
            db.execute("CREATE TEMP TABLE IF NOT EXISTS listed(id BLOB PRIMARY KEY, size INTEGER) WITHOUT ROWID")
            db.execute("DELETE FROM listed")
            db.executemany("INSERT OR REPLACE INTO listed VALUES(?, ?)", found)
            db.execute("DELETE FROM pack WHERE target=? AND id NOT IN (SELECT id FROM listed)", (target,))
            db.execute(
                "INSERT OR IGNORE INTO pack(target, id, size, since) SELECT ?, id, size, ? FROM listed", (target, now)
            )

    def due_packs(self, target: int, before: int) -> list[tuple[bytes, int]]:
        """Id and size of the packs that were not read back since ``before``: those that never were, then those whose
        turn was longest ago. One that is not whole is due again after a day."""
        found = self._db.execute(
            "SELECT id, size FROM pack WHERE target=? AND CASE WHEN fault IS NULL THEN coalesce(at, 0)<? ELSE at<? END"
            " ORDER BY coalesce(at, 0), id",
            (target, before, time.time_ns() - _AGAIN_NS),
        )
        return [(bytes(one), size) for one, size in found]

    def has_pack(self, target: int, pack: bytes) -> bool:
        """Whether the index names a pack, as far as is known."""
        return self._db.execute("SELECT 1 FROM pack WHERE target=? AND id=?", (target, pack)).fetchone() is not None

    def note_pack(self, target: int, pack: bytes, fault: str | None = None) -> None:
        """A pack was read back: it is whole, or it is not."""
        with self.database.write() as db:
            db.execute(
                "UPDATE pack SET at=?, fault=? WHERE target=? AND id=?", (time.time_ns(), fault, target, pack)
            )  # fmt: skip

    def pack_faults(self, target: int) -> list[tuple[bytes, str]]:
        """Id and fault of the packs that are not whole."""
        query = "SELECT id, fault FROM pack WHERE target=? AND fault IS NOT NULL ORDER BY id"
        return [(bytes(one), fault) for one, fault in self._db.execute(query, (target,))]

    def forget_pack_faults(self, target: int) -> int:
        """The repository was mended: what was not whole counts as never read. Returns how many packs that is."""
        with self.database.write() as db:
            query = "UPDATE pack SET at=NULL, fault=NULL WHERE target=? AND fault IS NOT NULL"
            return db.execute(query, (target,)).rowcount

    def pack_coverage(self, target: int, since: int) -> PackCoverage:
        """How much of what is at a target was read back since a moment, and is whole."""
        good = "at>=? AND fault IS NULL"
        row = self._db.execute(
            f"SELECT count(*), coalesce(sum(size), 0), coalesce(sum({good}), 0),"
            f" coalesce(sum(CASE WHEN {good} THEN size END), 0), min(coalesce(at, since)),"
            " count(fault) FROM pack WHERE target=?",
            (since, since, target),
        ).fetchone()
        return PackCoverage(*row)
