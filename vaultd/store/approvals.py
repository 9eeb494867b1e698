"""Persons, requests and approvals as rows. Nothing here decides who may approve; ``vaultd.approvals`` does."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping

from vaultd.store.approvalrows import ApprovalCounts, ApprovalRow, PersonRow, RequestRow
from vaultd.store.base import StoreBase

REVISION = "approvals:revision"
ENFORCED = "approvals:enforced"
"""Under this key: when a director was accepted for the first time."""

_REQUEST = ", ".join(RequestRow._fields)


class ApprovalStore(StoreBase):
    """Who is accepted, what is asked for, who has signed."""

    def has_approvals(self) -> bool:
        """Whether the tables are there: a database of before has none until somebody who writes opens it."""
        query = "SELECT 1 FROM sqlite_master WHERE type='table' AND name='approval_request'"
        return self._db.execute(query).fetchone() is not None

    def approvals_revision(self) -> int:
        """Grows with every change of these tables."""
        return int(self.get_meta(REVISION) or 0)

    def approvals_enforced(self) -> bool:
        """Whether a director was ever accepted. Sees what this process has just written."""
        row = self.database.current().execute("SELECT 1 FROM meta WHERE key=?", (ENFORCED,)).fetchone()
        return row is not None

    def enforce_approvals(self) -> None:
        """From now on actions need approvals; that is never taken back."""
        with self.database.write() as db:
            self._changed(db)
            db.execute("INSERT OR IGNORE INTO meta VALUES(?,?)", (ENFORCED, str(time.time_ns())))

    def _changed(self, db: sqlite3.Connection) -> None:
        """The copy of the state at the targets is old now."""
        db.execute(
            "INSERT INTO meta VALUES(?,'1') ON CONFLICT(key) DO UPDATE SET value=CAST(value AS INTEGER)+1", (REVISION,)
        )

    # persons

    def persons(self) -> Mapping[str, PersonRow]:
        """All that were ever known, by name."""
        found = self.database.current().execute(f"SELECT {', '.join(PersonRow._fields)} FROM person ORDER BY name")
        return {row[0]: PersonRow(*row) for row in found}

    def put_person(self, row: PersonRow) -> None:
        """A person as they are known from now on."""
        with self.database.write() as db:
            self._changed(db)
            db.execute("INSERT OR REPLACE INTO person VALUES(?,?,?,?,?,?,?)", row)

    # requests

    def add_request(self, row: RequestRow) -> int:
        """A new request (its own number is not looked at); the number that it got."""
        with self.database.write() as db:
            self._changed(db)
            names = RequestRow._fields[1:]
            cursor = db.execute(
                f"INSERT INTO approval_request({', '.join(names)}) VALUES({', '.join('?' for _name in names)})", row[1:]
            )
        return int(cursor.lastrowid or 0)

    def approval_request(self, number: int) -> RequestRow | None:
        """A request by its number."""
        query = f"SELECT {_REQUEST} FROM approval_request WHERE number=?"
        row = self.database.current().execute(query, (number,)).fetchone()
        return None if row is None else RequestRow(*row)

    def approval_requests(self, *, action: str = "", open_only: bool = True) -> list[RequestRow]:
        """Requests, the oldest first: those that are open, or all; of one action, or of any."""
        where, values = ["1"], list[object]()
        if open_only:
            where.append("state='open'")
        if action:
            where.append("action=?")
            values.append(action)
        query = f"SELECT {_REQUEST} FROM approval_request WHERE {' AND '.join(where)} ORDER BY number"
        return [RequestRow(*row) for row in self.database.current().execute(query, values)]

    def end_request(self, number: int, state: str, ended: int) -> bool:
        """An open request is over now. False when it was over already."""
        with self.database.write() as db:
            self._changed(db)
            query = "UPDATE approval_request SET state=?, ended=? WHERE number=? AND state='open'"
            return db.execute(query, (state, ended, number)).rowcount > 0

    def approvals_of(self, number: int) -> list[ApprovalRow]:
        """Who has approved a request, the first one first."""
        query = f"SELECT {', '.join(ApprovalRow._fields)} FROM approval WHERE request=? ORDER BY at, person"
        return [ApprovalRow(*row) for row in self.database.current().execute(query, (number,))]

    def add_approval(self, row: ApprovalRow) -> None:
        """Somebody has approved a request."""
        with self.database.write() as db:
            self._changed(db)
            db.execute("INSERT OR REPLACE INTO approval VALUES(?,?,?,?,?,?,?)", row)

    def approval_counts(self, now: int) -> ApprovalCounts:
        """What the status says; requests that have expired are not counted as open."""
        row = self._db.execute(
            "SELECT (SELECT count(*) FROM approval_request WHERE state='open' AND late=0 AND expires>?),"
            " (SELECT count(*) FROM approval_request WHERE state='open' AND late=1),"
            " (SELECT min(made) FROM approval_request WHERE state='open' AND late=1),"
            " (SELECT count(*) FROM person WHERE state='waiting')",
            (now,),
        ).fetchone()
        return ApprovalCounts(*row)
