"""Open and past alerts. The text is made where it is shown, from the code and the detail."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

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


class Alerts:
    """The alert table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def raise_(
        self, code: str, *, vault: str = "", target: str = "", detail: Mapping[str, object] | None = None
    ) -> bool:
        """Raise an alert, or note that it still stands. True when it is new."""
        now, text = time.time_ns(), json.dumps(dict(detail or {}), ensure_ascii=False, sort_keys=True)
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
        """The cause is gone. True when an alert was open."""
        if not self.is_open(code, vault=vault, target=target):
            return False  # the common case costs no transaction
        with self._database.write() as db:
            found = db.execute(
                "UPDATE alert SET cleared=? WHERE code=? AND vault=? AND target=? AND cleared IS NULL",
                (time.time_ns(), code, vault, target),
            )
        return found.rowcount > 0

    def is_open(self, code: str, *, vault: str = "", target: str = "") -> bool:
        """Whether such an alert stands."""
        query = "SELECT 1 FROM alert WHERE code=? AND vault=? AND target=? AND cleared IS NULL"
        return self._database.reader().execute(query, (code, vault, target)).fetchone() is not None

    def acknowledge(self, number: int, who: str) -> bool:
        """Somebody has seen it. An alert that only people can clear (mass-change) is cleared by that."""
        now = time.time_ns()
        with self._database.write() as db:
            found = db.execute(
                "UPDATE alert SET acknowledged=?, acknowledged_by=? WHERE id=? AND acknowledged IS NULL",
                (now, who, number),
            )
            db.execute(
                "UPDATE alert SET cleared=? WHERE id=? AND code='mass-change' AND cleared IS NULL", (now, number)
            )
        return found.rowcount > 0

    def list(self, *, open_only: bool = True, limit: int = 200) -> list[Alert]:
        """Alerts, newest first."""
        where = "WHERE cleared IS NULL" if open_only else ""
        found = self._database.reader().execute(
            f"SELECT {_COLUMNS} FROM alert {where} ORDER BY id DESC LIMIT ?", (limit,)
        )
        return [Alert(**{**dict(zip(_FIELDS, row, strict=True)), "detail": json.loads(row[4])}) for row in found]
