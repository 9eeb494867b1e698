"""The register of media as rows: what is registered, what has happened to it, and who has signed for that.

Nothing here decides whether a move is allowed; ``vaultd.media`` does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, fields

from vaultd.store.base import StoreBase
from vaultd.store.mediarows import Counts, DestructionRow, EventRow, Medium, SignatureRow, StockRow

COLUMNS = tuple(field.name for field in fields(Medium))
_ALL = ", ".join(COLUMNS)
_MARKS = ", ".join("?" for _column in COLUMNS)
_EQUAL = frozenset({"status", "classification", "custodian", "location", "type", "host"})
_TEXTS = ("label", "serial", "wwn", "make", "model", "custodian", "deputy", "location", "holder", "borrower", "note")
_EVENT = "number, uid, at, action, type, statement"
_SIGNATURE = "event, role, person, state, value, key, at"
REVISION = "media:revision"


class MediaStore(StoreBase):
    """The media register."""

    def add_medium(self, medium: Medium) -> int:
        """A new row; its number. The label must be free."""
        with self.database.write() as db:
            self._touch(db)
            cursor = db.execute(f"INSERT INTO medium({_ALL}) VALUES({_MARKS})", astuple(medium))
        return int(cursor.lastrowid or 0)

    def change_medium(self, number: int, values: Mapping[str, object]) -> None:
        """New values of some columns."""
        names = [name for name in COLUMNS if name in values and name != "id"]
        sets = ", ".join(f"{name}=?" for name in names)
        with self.database.write() as db:
            self._touch(db)
            db.execute(f"UPDATE medium SET {sets} WHERE id=?", (*(values[name] for name in names), number))

    def _touch(self, db: sqlite3.Connection) -> None:
        """The register has changed: the copy of the state at the targets is old now."""
        db.execute(
            "INSERT INTO meta VALUES(?,'1') ON CONFLICT(key) DO UPDATE SET value=CAST(value AS INTEGER)+1", (REVISION,)
        )

    def has_media(self) -> bool:
        """Whether the tables are there: a database of before has none until the daemon, or whoever writes, opens it."""
        query = "SELECT 1 FROM sqlite_master WHERE type='table' AND name='medium'"
        return self._db.execute(query).fetchone() is not None

    def media_revision(self) -> int:
        """Grows with every change of the register."""
        return int(self.get_meta(REVISION) or 0)

    def medium(self, label: str) -> Medium | None:
        """The medium of a label, None where there is none."""
        row = self._current.execute(f"SELECT {_ALL} FROM medium WHERE label=?", (label,)).fetchone()
        return None if row is None else Medium(*row)

    @property
    def _current(self) -> sqlite3.Connection:
        """Sees what this process has just written inside a transaction that is still open."""
        return self.database.current()

    def media(
        self, *, equal: Mapping[str, str] | None = None, text: str = "", vault: str = "", overdue_at: int | None = None,
        out: bool = False, trouble: bool = False, limit: int = -1,
    ) -> Iterator[Medium]:  # fmt: skip
        """Media by their labels: with these values, with ``text`` somewhere, with a vault on them, checked out, due
        before a moment, in trouble."""
        where, values = _where(equal or {}, text, vault, overdue_at, out=out, trouble=trouble)
        query = f"SELECT {_ALL} FROM medium{where} ORDER BY label LIMIT ?"
        return (Medium(*row) for row in self._current.execute(query, (*values, limit)))

    def count_media(
        self, *, equal: Mapping[str, str] | None = None, text: str = "", vault: str = "", overdue_at: int | None = None,
        out: bool = False, trouble: bool = False,
    ) -> int:  # fmt: skip
        """How many ``media`` would give."""
        where, values = _where(equal or {}, text, vault, overdue_at, out=out, trouble=trouble)
        return int(self._current.execute(f"SELECT count(*) FROM medium{where}", values).fetchone()[0])

    def media_with_identity(self, serial: str, wwn: str) -> list[Medium]:
        """Media that have this serial or this WWN, those that were destroyed left out; empty ones match nothing."""
        found = self._current.execute(
            f"SELECT {_ALL} FROM medium WHERE ((serial=? AND serial<>'') OR (wwn=? AND wwn<>''))"
            " AND status<>'destroyed' ORDER BY label",
            (serial, wwn),
        )
        return [Medium(*row) for row in found]

    def highest_label(self, prefix: str, length: int) -> str | None:
        """The highest label that begins with ``prefix`` and has so many characters: the last of a series."""
        row = self._current.execute(
            "SELECT max(label) FROM medium WHERE label>=? AND label<? AND length(label)=?",
            (prefix, prefix + "\U0010ffff", length),
        ).fetchone()
        return None if row is None or row[0] is None else str(row[0])

    def media_counts(self, now: int) -> Counts:
        """What the status says."""
        row = self._db.execute(
            "SELECT (SELECT count(*) FROM medium), (SELECT count(*) FROM medium WHERE due IS NOT NULL),"
            " (SELECT count(*) FROM medium WHERE due IS NOT NULL AND due<?),"
            " (SELECT count(*) FROM media_signature WHERE state='owed'),"
            " (SELECT count(*) FROM medium WHERE trouble<>'')",
            (now,),
        ).fetchone()
        return Counts(*row)

    # events and signatures

    def add_media_event(
        self, uid: str, at: int, action: str, kind: str, statement: str, items: Iterable[tuple[int, str, str]]
    ) -> int:  # fmt: skip
        """Something happened to media (number, status before, status after); the event's number."""
        with self.database.write() as db:
            self._touch(db)
            cursor = db.execute(
                "INSERT INTO media_event(uid, at, action, type, statement) VALUES(?,?,?,?,?)",
                (uid, at, action, kind, statement),
            )
            number = int(cursor.lastrowid or 0)
            db.executemany("INSERT INTO media_event_item VALUES(?,?,?,?)", ((number, *item) for item in items))
        return number

    def media_event(self, uid: str) -> EventRow | None:
        """An event by its identifier."""
        row = self._current.execute(f"SELECT {_EVENT} FROM media_event WHERE uid=?", (uid,)).fetchone()
        return None if row is None else EventRow(*row)

    def media_event_numbered(self, number: int) -> EventRow:
        """An event by its number."""
        return EventRow(
            *self._current.execute(f"SELECT {_EVENT} FROM media_event WHERE number=?", (number,)).fetchone()
        )

    def events_of_medium(self, medium: int) -> list[EventRow]:
        """What has happened to a medium, the oldest first."""
        found = self._current.execute(
            f"SELECT {_EVENT} FROM media_event WHERE number IN (SELECT event FROM media_event_item WHERE medium=?)"
            " ORDER BY number",
            (medium,),
        )
        return [EventRow(*row) for row in found]

    def items_of_event(self, event: int) -> list[Medium]:
        """The media of an event, as they are now."""
        found = self._current.execute(
            f"SELECT {_ALL} FROM medium WHERE id IN (SELECT medium FROM media_event_item WHERE event=?) ORDER BY label",
            (event,),
        )
        return [Medium(*row) for row in found]

    def put_signature(self, signature: SignatureRow) -> None:
        """A signature, or that it is owed."""
        with self.database.write() as db:
            self._touch(db)
            db.execute("INSERT OR REPLACE INTO media_signature VALUES(?,?,?,?,?,?,?)", signature)

    def drop_signature(self, event: int, role: str) -> bool:
        """A role's signature is to be somebody else's: of an approval the person is known when they approve. False
        when it is not owed any more."""
        with self.database.write() as db:
            query = "DELETE FROM media_signature WHERE event=? AND role=? AND state='owed'"
            return db.execute(query, (event, role)).rowcount > 0

    def signatures(self, event: int) -> list[SignatureRow]:
        """The signatures of an event, those that are owed too."""
        found = self._current.execute(
            f"SELECT {_SIGNATURE} FROM media_signature WHERE event=? ORDER BY role, person", (event,)
        )
        return [SignatureRow(*row) for row in found]

    def owed_signatures(self) -> list[tuple[EventRow, SignatureRow]]:
        """The signatures that are owed, with their events, the oldest first."""
        found = self._current.execute(
            f"SELECT {', '.join(f'e.{name}' for name in _EVENT.split(', '))},"
            f" {', '.join(f's.{name}' for name in _SIGNATURE.split(', '))}"
            " FROM media_signature s JOIN media_event e ON e.number=s.event WHERE s.state='owed' ORDER BY e.number"
        )
        return [(EventRow(*row[:6]), SignatureRow(*row[6:])) for row in found]

    # destruction, audits, stock

    def put_destruction(self, row: DestructionRow) -> None:
        """A request, or what has become of it."""
        with self.database.write() as db:
            self._touch(db)
            db.execute("INSERT OR REPLACE INTO media_destruction VALUES(?,?,?,?,?,?)", row)

    def destruction(self, number: str) -> DestructionRow | None:
        """The request of a list's number."""
        row = self._current.execute("SELECT * FROM media_destruction WHERE number=?", (number,)).fetchone()
        return None if row is None else DestructionRow(*row)

    def destructions(self, state: str | None = None) -> list[DestructionRow]:
        """All requests, or those in a state, by their numbers."""
        where, values = ("", ()) if state is None else (" WHERE state=?", (state,))
        found = self._current.execute(f"SELECT * FROM media_destruction{where} ORDER BY number", values)
        return [DestructionRow(*row) for row in found]

    def open_destruction_of(self, medium: int) -> str | None:
        """The number of a request that a medium is in and that was not executed."""
        row = self._current.execute(
            "SELECT d.number FROM media_destruction d JOIN media_event_item i ON i.event=d.event"
            " WHERE i.medium=? AND d.state='requested'",
            (medium,),
        ).fetchone()
        return None if row is None else str(row[0])

    def add_media_audit(self, at: int, place: str, result: str) -> None:
        """Keep what an audit of a place has found, as JSON."""
        with self.database.write() as db:
            self._touch(db)
            db.execute("INSERT INTO media_audit(at, place, result) VALUES(?,?,?)", (at, place, result))

    def put_stock(self, row: StockRow) -> None:
        """A stock item as it is now."""
        with self.database.write() as db:
            self._touch(db)
            db.execute("INSERT OR REPLACE INTO media_stock VALUES(?,?,?,?,?,?,?,?,?)", row)

    def stock(self) -> Sequence[StockRow]:
        """The stock, by name."""
        return [StockRow(*row) for row in self._current.execute("SELECT * FROM media_stock ORDER BY name")]


def _where(
    equal: Mapping[str, str], text: str, vault: str, overdue_at: int | None, *, out: bool, trouble: bool
) -> tuple[str, list[object]]:
    parts, values = list[str](), list[object]()
    for name, value in equal.items():
        if name not in _EQUAL:
            raise ValueError(name)
        parts.append(f"{name}=?")
        values.append(value)
    if text:
        pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        parts.append("(" + " OR ".join(f"{name} LIKE ? ESCAPE '\\'" for name in _TEXTS) + ")")
        values += [pattern] * len(_TEXTS)
    if vault:
        parts.append("instr(','||vaults||',', ','||?||',')>0")
        values.append(vault)
    if overdue_at is not None:
        parts.append("due IS NOT NULL AND due<?")
        values.append(overdue_at)
    if out:
        parts.append("due IS NOT NULL")
    if trouble:
        parts.append("trouble<>''")
    return (" WHERE " + " AND ".join(parts) if parts else ""), values
