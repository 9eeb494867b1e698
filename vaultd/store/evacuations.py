"""Evacuations: what was ordered, how far each tier is at each target, and every batch that was sent for it.

The order is kept here before anything is done for it, so that it outlives the daemon, a reboot and a lost line:
whatever daemon runs next takes it up, until somebody ends it. Times are nanoseconds since 1970.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vaultd.store.base import StoreBase
from vaultd.store.pending import PendingRow

ORDERED, COPIED, ENDED = "ordered", "copied", "ended"
PLANNED, SAFE, SHORT = "planned", "safe", "short"
SENDING, BROKEN = "sending", "broken"


@dataclass(frozen=True, slots=True)
class Evacuation:
    """An evacuation as it is kept. ``detail`` holds what people said of it, by the names of its ledger entry."""

    id: str
    drill: bool
    state: str
    level: str
    category: str
    who: str
    ordered: int
    ended: int | None
    boot: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TierRow:
    """A tier at a target: what was pending when it was ordered, and since when all of it is safe."""

    tier: int
    target: str
    vaults: tuple[str, ...]
    state: str
    files: int
    bytes: int
    safe_at: int | None


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One express snapshot of an evacuation."""

    change_set: str
    tier: int
    vault: str
    target: str
    state: str
    files: int
    bytes: int
    began: int
    ended: int | None


_FIELDS = "id, drill, state, level, category, who, ordered, ended, boot, detail"
_BATCH = "change_set, tier, vault, target, state, files, bytes, began, ended"


class EvacuationStore(StoreBase):
    """Evacuations, their tiers and batches; and the pending rows in the order in which an evacuation sends them."""

    def add_evacuation(self, one: Evacuation) -> bool:
        """Keep an order. False when there is an open one already: there is one at a time (and one drill)."""
        try:
            with self.database.write() as db:
                db.execute(
                    f"INSERT INTO evacuation({_FIELDS}) VALUES(?,?,?,?,?,?,?,?,?,?)",
                    (one.id, int(one.drill), one.state, one.level, one.category, one.who, one.ordered, one.ended,
                     one.boot, json.dumps(dict(one.detail), ensure_ascii=False)),
                )  # fmt: skip
        except sqlite3.IntegrityError:
            return False
        return True

    def change_evacuation(self, number: str, **values: Any) -> None:
        """Set some of the fields of an evacuation."""
        if "detail" in values:
            values["detail"] = json.dumps(dict(values["detail"]), ensure_ascii=False)
        sets = ", ".join(f"{name}=?" for name in values)
        with self.database.write() as db:
            db.execute(f"UPDATE evacuation SET {sets} WHERE id=?", (*values.values(), number))

    def open_evacuation(self, *, drill: bool = False) -> Evacuation | None:
        """The evacuation (or drill) that nobody has ended yet."""
        found = self._evacuations("WHERE ended IS NULL AND drill=?", (int(drill),))
        return found[0] if found else None

    def evacuation(self, number: str) -> Evacuation | None:
        """An evacuation by its id."""
        found = self._evacuations("WHERE id=?", (number,))
        return found[0] if found else None

    def evacuations(self, limit: int = 100) -> list[Evacuation]:
        """All of them, the newest first."""
        return self._evacuations("ORDER BY ordered DESC LIMIT ?", (limit,))

    def _evacuations(self, where: str, values: Sequence[object]) -> list[Evacuation]:
        rows = self.database.current().execute(f"SELECT {_FIELDS} FROM evacuation {where}", tuple(values))
        return [
            Evacuation(number, bool(drill), state, level, category, who, ordered, ended, boot, json.loads(detail))
            for number, drill, state, level, category, who, ordered, ended, boot, detail in rows
        ]

    def next_evacuation_number(self, prefix: str) -> int:
        """The next running number of the ids that begin with ``prefix``."""
        query = "SELECT id FROM evacuation WHERE substr(id, 1, ?)=?"
        taken = [row[0] for row in self.database.current().execute(query, (len(prefix), prefix))]
        return max((int(one[len(prefix) :]) for one in taken if one[len(prefix) :].isdecimal()), default=0) + 1

    def plan_tier(self, number: str, row: TierRow) -> bool:
        """Keep what a tier is to send. False when it is kept already."""
        with self.database.write() as db:
            found = db.execute(
                "INSERT OR IGNORE INTO evacuation_tier VALUES(?,?,?,?,?,?,?,?)",
                (number, row.tier, row.target, json.dumps(row.vaults), row.state, row.files, row.bytes, row.safe_at),
            )
        return found.rowcount > 0

    def set_tier(self, number: str, tier: int, target: str, state: str, safe_at: int | None) -> bool:
        """A tier is safe, or short of it. False when that is known already, or it is safe."""
        with self.database.write() as db:
            found = db.execute(
                "UPDATE evacuation_tier SET state=?, safe_at=coalesce(safe_at, ?)"
                " WHERE evacuation=? AND tier=? AND target=? AND state NOT IN (?, ?)",
                (state, safe_at, number, tier, target, state, SAFE),
            )
        return found.rowcount > 0

    def tiers(self, number: str) -> list[TierRow]:
        """The tiers of an evacuation, by tier and target."""
        rows = self._db.execute(
            "SELECT tier, target, vaults, state, files, bytes, safe_at FROM evacuation_tier WHERE evacuation=?"
            " ORDER BY tier, target",
            (number,),
        )
        return [TierRow(row[0], row[1], tuple(json.loads(row[2])), *row[3:]) for row in rows]

    def begin_batch(self, number: str, row: BatchRow) -> None:
        """A batch is about to be sent: known before restic is started."""
        with self.database.write() as db:
            db.execute(
                f"INSERT INTO evacuation_batch({_BATCH}, evacuation) VALUES(?,?,?,?,?,?,?,?,?,?)",
                (row.change_set, row.tier, row.vault, row.target, row.state, row.files, row.bytes, row.began,
                 row.ended, number),
            )  # fmt: skip

    def end_batch(self, change_set: str, state: str, files: int, size: int) -> None:
        """A batch is safe, or was lost."""
        with self.database.write() as db:
            db.execute(
                "UPDATE evacuation_batch SET state=?, files=?, bytes=?, ended=? WHERE change_set=?",
                (state, files, size, time.time_ns(), change_set),
            )

    def batches(self, number: str, *, state: str | None = None) -> list[BatchRow]:
        """The batches of an evacuation, in the order in which they began."""
        where, values = ("", ()) if state is None else (" AND state=?", (state,))
        rows = self._db.execute(
            f"SELECT {_BATCH} FROM evacuation_batch WHERE evacuation=?{where} ORDER BY began, change_set",
            (number, *values),
        )
        return [BatchRow(*row) for row in rows]

    def sent_batches(self, number: str) -> dict[tuple[int, str], tuple[int, int]]:
        """Files and bytes of the batches that are safe, by tier and target."""
        rows = self._db.execute(
            "SELECT tier, target, sum(files), sum(bytes) FROM evacuation_batch WHERE evacuation=? AND state=?"
            " GROUP BY tier, target",
            (number, SAFE),
        )
        return {(tier, target): (files, size) for tier, target, files, size in rows}

    def is_acknowledged(self, change_set: str) -> bool:
        """Whether a snapshot of a change set was acknowledged."""
        query = "SELECT 1 FROM snapshot WHERE change_set=?"
        return self._db.execute(query, (change_set,)).fetchone() is not None

    def smallest_rows(self, target: int, vault: int, limit: int) -> list[PendingRow]:
        """Due rows of unsafe content, the smallest first: so that the most files are safe soonest."""
        rows = self._db.execute(
            "SELECT path, seq, kind, size, since, unsafe_since, attempts, not_before, problem FROM pending"
            " WHERE target=? AND vault=? AND unsafe_since IS NOT NULL AND not_before<=? ORDER BY size, path LIMIT ?",
            (target, vault, time.time_ns(), limit),
        )
        return list(map(PendingRow._make, rows))

    def matching_rows(self, target: int, vault: int, patterns: Sequence[str], limit: int) -> list[PendingRow]:
        """The same of those alone whose path matches one of the patterns (SQLite's GLOB, whose ``*`` passes slashes),
        by the order of the patterns."""
        found: list[PendingRow] = []
        for pattern in patterns:
            rows = self._db.execute(
                "SELECT path, seq, kind, size, since, unsafe_since, attempts, not_before, problem FROM pending"
                " WHERE target=? AND vault=? AND unsafe_since IS NOT NULL AND not_before<=?"
                " AND CAST(path AS TEXT) GLOB ? ORDER BY size, path LIMIT ?",
                (target, vault, time.time_ns(), pattern, limit - len(found)),
            )
            known = {one.path for one in found}
            found += [row for row in map(PendingRow._make, rows) if row.path not in known]
            if len(found) >= limit:
                break
        return found
