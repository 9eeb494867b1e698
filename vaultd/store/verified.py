"""What was read back from the targets and compared: versions that are whole, runs, and differences that stand."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from vaultd.store.unrecorded import UnrecordedStore

CURRENT = (
    "SELECT path, max(number) AS number, state, size, mtime, sha256, recorded FROM version WHERE vault=? GROUP BY path"
)
"""The newest version of every path; what is gone too. (SQLite gives the other columns of the row with the maximum.)"""


@dataclass(frozen=True, slots=True)
class VerificationRow:
    """A run. Times are nanoseconds since 1970; ``finished`` None: it was interrupted, or it is under way."""

    id: int
    kind: str
    chosen: str
    began: int
    finished: int | None
    state: str | None
    files: int
    bytes: int
    differences: int


class DifferenceRow(NamedTuple):
    """A path that is not as on record at a target; ``sha256`` is the one on record."""

    path: bytes
    result: str
    snapshot: str
    sha256: bytes | None
    found: bytes | None
    why: str
    at: int


class Due(NamedTuple):
    """A current version, and when it was verified last at a target (None: never)."""

    path: bytes
    sha256: bytes
    size: int
    mtime: int
    recorded: int
    verified: int | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of what a vault holds now was verified at a target since a moment. ``oldest``: when the one that was
    verified longest ago was, or, of those that never were, when it was recorded."""

    files: int
    bytes: int
    verified_files: int
    verified_bytes: int
    oldest: int | None


COVERAGE = "verify:coverage"
OTHER, DESTROYED = "another version", "destroyed"
"""What is kept of a file that is no difference: it need not be read again today."""

_DAY_NS = 86400 * 10**9
_RUN = "id, kind, chosen, began, finished, state, files, bytes, differences"


class VerifiedStore(UnrecordedStore):
    """Verifications of vaults at targets, both by their numbers."""

    def begin_verification(self, target: int, vault: int, kind: str, chosen: str) -> int:
        """A run begins; its number."""
        with self.database.write() as db:
            cursor = db.execute(
                "INSERT INTO verification(target, vault, kind, chosen, began) VALUES(?,?,?,?,?)",
                (target, vault, kind, chosen, time.time_ns()),
            )
        return int(cursor.lastrowid or 0)

    def unfinished_verification(self, target: int, vault: int, kind: str, since: int) -> VerificationRow | None:
        """The newest run of a kind, where it was not finished and did not begin before a moment."""
        row = self._db.execute(
            f"SELECT {_RUN} FROM verification WHERE target=? AND vault=? AND kind=? ORDER BY id DESC LIMIT 1",
            (target, vault, kind),
        ).fetchone()
        found = None if row is None else VerificationRow(*row)
        return found if found is not None and found.finished is None and found.began >= since else None

    def end_verification(self, run: int, state: str, files: int, size: int, differences: int) -> None:
        """A run is over; "interrupted" and "failed" leave it to be gone on with."""
        finished = time.time_ns() if state == "done" else None
        with self.database.write() as db:
            db.execute(
                "UPDATE verification SET finished=?, state=?, files=files+?, bytes=bytes+?, differences=? WHERE id=?",
                (finished, state, files, size, differences, run),
            )

    def last_verification(self, target: int) -> VerificationRow | None:
        """The newest run at a target that was finished, of any vault."""
        row = self._db.execute(
            f"SELECT {_RUN} FROM verification WHERE target=? AND finished IS NOT NULL ORDER BY finished DESC LIMIT 1",
            (target,),
        ).fetchone()
        return None if row is None else VerificationRow(*row)

    def note_verified(self, target: int, vault: int, found: Iterable[tuple[bytes, bytes]]) -> None:
        """These paths were read back from a target, and had this SHA-256: it is what is on record."""
        now = time.time_ns()
        with self.database.write() as db:
            rows = [(target, now, vault, path, sha256) for path, sha256 in found]
            db.executemany(
                "INSERT OR REPLACE INTO verified(target, version, at)"
                " SELECT ?, number, ? FROM version WHERE vault=? AND path=? AND sha256=?",
                rows,
            )
            if db.execute("SELECT 1 FROM difference WHERE target=? AND vault=? LIMIT 1", (target, vault)).fetchone():
                db.executemany(
                    "DELETE FROM difference WHERE target=? AND vault=? AND path=?",
                    ((target, vault, path) for _target, _now, _vault, path, _sha256 in rows),
                )

    def verified_since(self, target: int, vault: int, since: int) -> Iterator[tuple[bytes, bytes]]:
        """Path and SHA-256 of what was verified at a target since a moment."""
        found = self._db.execute(
            "SELECT v.path, v.sha256 FROM verified d JOIN version v ON v.number=d.version"
            " WHERE d.target=? AND d.at>=? AND v.vault=?",
            (target, since, vault),
        )
        return ((path, sha256) for path, sha256 in found)

    def note_differences(self, target: int, vault: int, found: Sequence[DifferenceRow], *, whole: bool) -> None:
        """Keep what is not as on record; ``whole``: everything was looked at, so that no other stands. The path b""
        stands for a snapshot that is gone: every run looks at those."""
        with self.database.write() as db:
            where = "" if whole else " AND path=x''"
            db.execute(f"DELETE FROM difference WHERE target=? AND vault=?{where}", (target, vault))
            db.executemany(
                "INSERT OR REPLACE INTO difference VALUES(?,?,?,?,?,?,?,?,?)",
                ((target, vault, *one) for one in found),
            )

    def differences(self, target: int, vault: int) -> list[DifferenceRow]:
        """What stands, by path."""
        found = self._db.execute(
            "SELECT path, result, snapshot, sha256, found, why, at FROM difference WHERE target=? AND vault=?"
            " ORDER BY path",
            (target, vault),
        )
        return [DifferenceRow(*row) for row in found]

    def count_differences(self, target: int, vault: int | None = None) -> int:
        """How many stand, of a vault or of all."""
        none = (target, OTHER, DESTROYED)
        where, values = ("", none) if vault is None else (" AND vault=?", (*none, vault))
        query = f"SELECT count(*) FROM difference WHERE target=? AND result NOT IN (?, ?){where}"
        return int(self._db.execute(query, values).fetchone()[0])

    def note_coverage(self, target: str, found: Mapping[str, Any]) -> None:
        """Keep how much of what is at a target was verified: ``coverage`` looks at every path."""
        self.set_meta(COVERAGE, json.dumps({**self.noted_coverage(), target: dict(found)}))

    def noted_coverage(self) -> dict[str, dict[str, Any]]:
        """What was kept of it, by the names of targets."""
        found: dict[str, dict[str, Any]] = json.loads(self.get_meta(COVERAGE) or "{}")
        return found

    def due_for_verification(self, target: int, vault: int, before: int) -> Iterator[Due]:
        """Current versions that were not verified at a target since ``before``: those that never were, then those whose
        turn was longest ago. Left out is what is not there yet, and what was found to differ in the last day."""
        found = self._db.execute(
            f"SELECT c.path, c.sha256, c.size, c.mtime, c.recorded, d.at FROM ({CURRENT}) c"
            " LEFT JOIN verified d ON d.target=? AND d.version=c.number"
            " WHERE c.state<>'deleted' AND coalesce(d.at, 0)<?"
            " AND NOT EXISTS(SELECT 1 FROM pending p WHERE p.target=? AND p.vault=? AND p.path=c.path)"
            " AND NOT EXISTS(SELECT 1 FROM difference e WHERE e.target=? AND e.vault=? AND e.path=c.path AND e.at>?)"
            " ORDER BY coalesce(d.at, 0), c.path",
            (vault, target, before, target, vault, target, vault, time.time_ns() - _DAY_NS),
        )
        return (Due(*row) for row in found)

    def coverage(self, target: int, vault: int, since: int) -> Coverage:
        """How much of a vault was verified at a target since a moment. Looks at every path."""
        row = self._db.execute(
            "SELECT count(*), coalesce(sum(c.size), 0), coalesce(sum(d.at>=?), 0),"
            f" coalesce(sum(CASE WHEN d.at>=? THEN c.size END), 0), min(coalesce(d.at, c.recorded)) FROM ({CURRENT}) c"
            " LEFT JOIN verified d ON d.target=? AND d.version=c.number WHERE c.state<>'deleted'",
            (since, since, vault, target),
        ).fetchone()
        return Coverage(*row)

    def forget_old_verified(self) -> int:
        """Drop what was verified of versions that are not current any more; how many rows."""
        with self.database.write() as db:
            return db.execute(
                "DELETE FROM verified WHERE version NOT IN (SELECT max(number) FROM version GROUP BY vault, path)"
            ).rowcount

    def is_pending(self, target: int, vault: int, path: bytes) -> bool:
        """Whether a change of a path is owed to a target."""
        query = "SELECT 1 FROM pending WHERE target=? AND vault=? AND path=?"
        return self._db.execute(query, (target, vault, path)).fetchone() is not None
