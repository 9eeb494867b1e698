"""What is on record of notices and calls, and of which alerts people have been told."""

from __future__ import annotations

import time
from dataclasses import dataclass

from vaultd.store.base import StoreBase

ALERTS_SEEN = "notices:alert"
"""Under this key: the number of the newest alert that was looked at."""


@dataclass(frozen=True, slots=True)
class NoticeResult:
    """A notice was ``sent`` by a channel to a person ("": nobody in particular), or has ``failed``."""

    notice: str
    channel: str
    person: str
    state: str
    attempts: int
    error: str
    about: str
    recorded: int


@dataclass(frozen=True, slots=True)
class CallRow:
    """How often a person was rung because of a notice, by whom last, and whether they have answered."""

    notice: str
    person: str
    attempts: int
    answered: bool
    by: str
    at: int


@dataclass(frozen=True, slots=True)
class AlertToTell:
    """An alert that was raised ``count`` times since people were told of it, first at ``since`` (ns)."""

    code: str
    vault: str
    target: str
    count: int
    since: int


class NoticeStore(StoreBase):
    """Notices, calls, alerts that were told."""

    def has_notices(self) -> bool:
        """Whether the tables are there: a database of before has none until the daemon opens it."""
        query = "SELECT 1 FROM sqlite_master WHERE type='table' AND name='notice_result'"
        return self._db.execute(query).fetchone() is not None

    def note_result(self, row: NoticeResult) -> bool:
        """Keep a result. False when it was kept before."""
        with self.database.write() as db:
            found = db.execute(
                "INSERT OR IGNORE INTO notice_result VALUES(?,?,?,?,?,?,?,?)",
                (row.notice, row.channel, row.person, row.state, row.attempts, row.error, row.about, row.recorded),
            )
        return found.rowcount > 0

    def notice_over(self, notice: str) -> bool:
        """Whether all that was to come of a notice is on record."""
        query = "SELECT 1 FROM notice_result WHERE notice=? AND channel=''"
        return self.database.current().execute(query, (notice,)).fetchone() is not None

    def notice_results(self, notice: str | None = None, limit: int = 1000) -> list[NoticeResult]:
        """What is on record of a notice, or of the newest ones."""
        where, values = ("WHERE channel<>''", ()) if notice is None else ("WHERE notice=? AND channel<>''", (notice,))
        found = self._db.execute(
            f"SELECT notice, channel, person, state, attempts, error, about, recorded FROM notice_result {where}"
            " ORDER BY notice DESC, channel, person LIMIT ?",
            (*values, limit),
        )
        return [NoticeResult(*row) for row in found]

    def failed_notices(self) -> tuple[int, list[str]]:
        """How many notices have failed since somebody acknowledged that last, and by which channels."""
        rows = self._db.execute(
            "SELECT DISTINCT notice, channel FROM notice_result WHERE state='failed' AND recorded>"
            " coalesce((SELECT max(cleared) FROM alert WHERE code='notices-failed'), 0)"
        ).fetchall()
        return len({row[0] for row in rows}), sorted({row[1] for row in rows})

    def forget_results(self, before: int) -> None:
        """Let go of what has been on record since before a moment: the ledger has it."""
        with self.database.write() as db:
            db.execute("DELETE FROM notice_result WHERE recorded<?", (before,))
            db.execute("DELETE FROM notice_call WHERE at<? AND answered", (before,))

    # calls

    def note_call(self, notice: str, person: str, by: str, *, answered: bool) -> CallRow:
        """Somebody has rung a person. Returns how it stands now."""
        with self.database.write() as db:
            db.execute(
                "INSERT INTO notice_call VALUES(?,?,1,?,?,?) ON CONFLICT(notice, person) DO UPDATE SET"
                " attempts=attempts+1, answered=max(answered, excluded.answered), by=excluded.by, at=excluded.at",
                (notice, person, int(answered), by, time.time_ns()),
            )
            query = "SELECT attempts, answered, by, at FROM notice_call WHERE notice=? AND person=?"
            attempts, done, last, at = db.execute(query, (notice, person)).fetchone()
        return CallRow(notice, person, attempts, bool(done), last, at)

    def calls(self) -> dict[tuple[str, str], CallRow]:
        """Who was rung, by notice and person."""
        found = self.database.current().execute("SELECT notice, person, attempts, answered, by, at FROM notice_call")
        rows = [CallRow(row[0], row[1], row[2], bool(row[3]), row[4], row[5]) for row in found]
        return {(row.notice, row.person): row for row in rows}

    # alerts

    def count_alerts(self, codes: frozenset[str] | None = None) -> None:
        """Count the alerts that were raised since the last call, by any process. The first time: those that stand.

        ``codes``: only these count; None: all.
        """
        last = self._db.execute("SELECT coalesce(max(id), 0) FROM alert").fetchone()[0]
        if self.get_meta(ALERTS_SEEN) == str(last):
            return  # the common case costs no transaction
        with self.database.write() as db:
            known = db.execute("SELECT value FROM meta WHERE key=?", (ALERTS_SEEN,)).fetchone()
            seen = int(known[0]) if known else 0
            query = "SELECT id, code, vault, target, raised FROM alert WHERE id>?" + (
                "" if known else " AND cleared IS NULL"
            )
            rows = db.execute(query + " ORDER BY id", (seen,)).fetchall()
            newest = int(db.execute("SELECT coalesce(max(id), 0) FROM alert").fetchone()[0])
            for _number, code, vault, target, raised in rows:
                if codes is None or code in codes:
                    db.execute(
                        "INSERT INTO notice_alert VALUES(?,?,?,NULL,1,?) ON CONFLICT(code, vault, target) DO UPDATE"
                        " SET since=CASE count WHEN 0 THEN excluded.since ELSE since END, count=count+1",
                        (code, vault, target, raised),
                    )
            db.execute(
                "INSERT INTO meta VALUES(?,?) ON CONFLICT(key) DO UPDATE SET value=excluded.value",
                (ALERTS_SEEN, str(newest)),
            )

    def alerts_to_tell(self, now: int, every: int) -> list[AlertToTell]:
        """The alerts that were raised and not told, for those that were told within ``every`` ns before not yet."""
        found = self._db.execute(
            "SELECT code, vault, target, count, since FROM notice_alert WHERE count>0 AND"
            " (told IS NULL OR told<=? OR told>?) ORDER BY since",
            (now - every, now),
        )
        return [AlertToTell(*row) for row in found]

    def alert_told(self, alert: AlertToTell, now: int) -> None:
        """People know of it."""
        with self.database.write() as db:
            db.execute(
                "UPDATE notice_alert SET told=?, count=max(0, count-?) WHERE code=? AND vault=? AND target=?",
                (now, alert.count, alert.code, alert.vault, alert.target),
            )
