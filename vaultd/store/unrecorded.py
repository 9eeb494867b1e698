"""What the ledger does not have yet: it was out of order when it happened, or another process saw it happen."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vaultd.store.made import MadeStore
from vaultd.store.staging import NewVersion


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened ``at`` a time (nanoseconds since 1970): an entry's type and its own fields."""

    number: int
    at: int
    type: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Signed:
    """The newest checkpoint that was signed: of which log, its size and root hash, and when (nanoseconds)."""

    origin: str
    size: int
    root: bytes
    at: int


class UnrecordedStore(MadeStore):
    """Events, versions and snapshots that are owed to the ledger; and what was signed of it."""

    def note_signed(self, signed: Signed) -> None:
        """Keep the newest checkpoint: a ledger that is older than this signs nothing any more."""
        self.set_meta("ledger:signed", f"{signed.size} {signed.at} {signed.root.hex()} {signed.origin}")

    def signed(self) -> Signed | None:
        """The newest checkpoint that was signed, None before the first."""
        found = self.get_meta("ledger:signed")
        if not found:
            return None
        size, at, root, origin = found.split(" ", 3)
        return Signed(origin, int(size), bytes.fromhex(root), int(at))

    def note_probed(self, target: str, is_anchor: bool) -> None:
        """Keep whether a target's copies of checkpoints were proved to be out of this host's reach."""
        self.set_meta(f"anchored:{target}", "1" if is_anchor else "")

    def anchored_targets(self) -> set[str]:
        """The targets of which that was proved."""
        return {key.removeprefix("anchored:") for key in self.meta_keys("anchored:")}

    def note_anchors(self, found: Sequence[Mapping[str, object]]) -> None:
        """Keep what ``status`` says of mirrors and anchors."""
        self.set_meta("ledger:anchors", json.dumps(list(found)))

    def anchors(self) -> list[dict[str, Any]]:
        """What is known of mirrors and anchors (docs/json.md)."""
        found: list[dict[str, Any]] = json.loads(self.get_meta("ledger:anchors") or "[]")
        return found

    def add_event(self, kind: str, fields: Mapping[str, Any], at: int | None = None) -> None:
        """Keep an event for the ledger: of now, or ``at`` a time (nanoseconds) before."""
        with self.database.write() as db:
            db.execute(
                "INSERT INTO event(at, type, fields) VALUES(?,?,?)",
                (time.time_ns() if at is None else at, kind, json.dumps(fields, ensure_ascii=False)),
            )

    def owes_ledger(self) -> bool:
        """Whether there is anything that the ledger does not have."""
        query = "SELECT EXISTS(SELECT 1 FROM event) OR EXISTS(SELECT 1 FROM version WHERE entry IS NULL)"
        return bool(self._db.execute(query).fetchone()[0])

    def count_unrecorded(self) -> int:
        """How many entries the ledger lacks."""
        query = "SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM version WHERE entry IS NULL)"
        return int(self._db.execute(query).fetchone()[0])

    def events(self, limit: int) -> list[Event]:
        """The oldest events that the ledger does not have."""
        found = self._db.execute("SELECT number, at, type, fields FROM event ORDER BY number LIMIT ?", (limit,))
        return [Event(number, at, kind, json.loads(fields)) for number, at, kind, fields in found]

    def unrecorded_versions(
        self, change_set: str | None, limit: int
    ) -> list[tuple[int, str, str, int, NewVersion]]:  # fmt: skip
        """Versions of a change set (None: of any) that the ledger does not have, the oldest first: number, vault's
        name, change set, when it was recorded here, version."""
        where, values = ("", ()) if change_set is None else (" AND n.change_set=?", (change_set,))
        found = self._db.execute(
            "SELECT n.number, v.name, n.change_set, n.recorded, n.path, n.state, n.size, n.mtime, n.sha256, n.sm3"
            f" FROM version n JOIN vault v ON v.id=n.vault WHERE n.entry IS NULL{where} ORDER BY n.number LIMIT ?",
            (*values, limit),
        )
        return [(row[0], row[1], row[2], row[3], NewVersion(*row[4:])) for row in found]

    def note_recorded(
        self, db: sqlite3.Connection, versions: Sequence[tuple[int, int]] = (), event: Event | None = None,
        entry: int = 0,
    ) -> None:  # fmt: skip
        """These versions (number, place) are in the ledger now, and so is this event, at ``entry``."""
        db.executemany("UPDATE version SET entry=? WHERE number=?", ((place, number) for number, place in versions))
        if event is not None:
            db.execute("DELETE FROM event WHERE number=?", (event.number,))
            if event.type == "snapshot":
                db.execute(
                    "UPDATE snapshot SET entry=? WHERE change_set=? AND snapshot=? AND entry IS NULL",
                    (entry, event.fields["change_set"], event.fields["snapshot"]),
                )

    def latest_version(self, vault: int, path: bytes, before: int | None = None) -> tuple[int, str] | None:
        """Place in the ledger and state of a path's newest version there, or of the newest recorded ``before`` a time
        (nanoseconds)."""
        row = self._db.execute(
            "SELECT entry, state FROM version WHERE vault=? AND path=? AND entry IS NOT NULL AND recorded<=?"
            " ORDER BY number DESC LIMIT 1",
            (vault, path, 2**62 if before is None else before),
        ).fetchone()
        return None if row is None else (int(row[0]), str(row[1]))

    def recorded_hashes(self, vault: int) -> Iterator[tuple[bytes, bytes]]:
        """Path and SHA-256 of every file of a vault as the ledger has it, by path; what is gone is left out."""
        found = self._db.execute(
            "SELECT path, max(number), state, sha256 FROM version WHERE vault=? AND entry IS NOT NULL GROUP BY path",
            (vault,),
        )
        return ((path, sha256) for path, _number, state, sha256 in found if state != "deleted")
