"""Open and past alerts. The text is made where it is shown, from the code and the detail."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vaultd.errors import StateError
from vaultd.store.database import Database


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that stops or endangers protection. Times are nanoseconds since 1970."""

    id: int
    code: str
    vault: str
    target: str
    detail: dict[str, object]
    raised: int
    seen: int
    times: int
    cleared: int | None
    acknowledged: int | None
    acknowledged_by: str | None


_COLUMNS = "id, code, vault, target, detail, raised, seen, times, cleared, acknowledged, acknowledged_by"
_FIELDS = _COLUMNS.split(", ")


OnChange = Callable[[str, str, str, str, str | None], None]
"""Told of each alert that was "raised", "cleared" or "acknowledged": that word, code, vault, target, who."""


def _nothing(_state: str, _code: str, _vault: str, _target: str, _who: str | None) -> None:
    return


class Alerts:
    """The alert table. ``on_change`` is told what becomes of each."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unwritten: dict[tuple[str, str, str], Alert] = {}
        self.on_change: OnChange = _nothing

    def raise_(
        self, code: str, *, vault: str = "", target: str = "", detail: Mapping[str, object] | None = None
    ) -> bool:
        """Raise an alert, or note that it still stands. True when it is new.

        Where it cannot be written, because the disk is full for instance, it stands in this process all the same.
        """
        try:
            new = self._write(code, vault, target, detail or {})
        except StateError:
            now, key = time.time_ns(), (code, vault, target)
            new = not self.is_open(code, vault=vault, target=target)
            self._unwritten[key] = Alert(0, *key, dict(detail or {}), now, now, 1, None, None, None)
            return new
        self._unwritten.pop((code, vault, target), None)
        if new:
            self.on_change("raised", code, vault, target, None)
        return new

    def _write(self, code: str, vault: str, target: str, detail: Mapping[str, object]) -> bool:
        now, text = time.time_ns(), json.dumps(dict(detail), ensure_ascii=False, sort_keys=True)
        with self._database.write() as db:
            changed = db.execute(
                "UPDATE alert SET seen=?, times=times+1, detail=?"
                " WHERE code=? AND vault=? AND target=? AND cleared IS NULL",
                (now, text, code, vault, target),
            ).rowcount
            if changed:
                return False
            db.execute(
                "INSERT INTO alert(code, vault, target, detail, raised, seen) VALUES(?,?,?,?,?,?)",
                (code, vault, target, text, now, now),
            )
        return True

    def clear(self, code: str, *, vault: str = "", target: str = "") -> bool:
        """The cause is gone. True when an alert was open. One that cannot be written stays open."""
        unwritten = self._unwritten.pop((code, vault, target), None) is not None
        if not self.is_open(code, vault=vault, target=target):
            return unwritten  # the common case costs no transaction
        try:
            with self._database.write() as db:
                found = db.execute(
                    "UPDATE alert SET cleared=? WHERE code=? AND vault=? AND target=? AND cleared IS NULL",
                    (time.time_ns(), code, vault, target),
                )
        except StateError:
            return False
        if found.rowcount:
            self.on_change("cleared", code, vault, target, None)
        return found.rowcount > 0

    def is_open(self, code: str, *, vault: str = "", target: str = "") -> bool:
        """Whether such an alert stands."""
        if (code, vault, target) in self._unwritten:
            return True
        query = "SELECT 1 FROM alert WHERE code=? AND vault=? AND target=? AND cleared IS NULL"
        return self._database.reader().execute(query, (code, vault, target)).fetchone() is not None

    def acknowledge(self, number: int, who: str) -> bool:
        """Somebody has seen it. An alert that only people can clear is cleared by that."""
        now = time.time_ns()
        with self._database.write() as db:
            found = db.execute(
                "UPDATE alert SET acknowledged=?, acknowledged_by=? WHERE id=? AND acknowledged IS NULL",
                (now, who, number),
            )
            db.execute(
                "UPDATE alert SET cleared=?"
                " WHERE id=? AND cleared IS NULL AND code IN"
                " ('mass-change', 'snapshots-missing', 'disk-gone', 'notices-failed', 'person-on-paper')",
                (now, number),
            )
            row = db.execute("SELECT code, vault, target FROM alert WHERE id=?", (number,)).fetchone()
        if found.rowcount:
            self.on_change("acknowledged", row[0], row[1], row[2], who)
        return found.rowcount > 0

    def list(self, *, open_only: bool = True, limit: int = 200) -> list[Alert]:
        """Alerts, newest first."""
        where = "WHERE cleared IS NULL" if open_only else ""
        found = self._database.reader().execute(
            f"SELECT {_COLUMNS} FROM alert {where} ORDER BY id DESC LIMIT ?", (limit,)
        )
        written = [Alert(**{**dict(zip(_FIELDS, row, strict=True)), "detail": json.loads(row[4])}) for row in found]
        standing = {(alert.code, alert.vault, alert.target) for alert in written if alert.cleared is None}
        return [alert for key, alert in list(self._unwritten.items()) if key not in standing] + written

    def since(self, number: int, limit: int) -> Sequence[Alert]:
        """The alerts with a higher number than this, open or past, the oldest first: what was raised and is over since
        the last look is among them."""
        found = self._database.current().execute(
            f"SELECT {_COLUMNS} FROM alert WHERE id>? ORDER BY id LIMIT ?", (number, limit)
        )
        return [Alert(**{**dict(zip(_FIELDS, row, strict=True)), "detail": json.loads(row[4])}) for row in found]
