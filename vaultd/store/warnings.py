"""Warnings and playbooks as rows. Nothing here decides what may be done; ``vaultd.warning`` does."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import astuple, fields

from vaultd.store.base import StoreBase
from vaultd.store.media import REVISION
from vaultd.store.warningrows import ActionRow, AnswerRow, RingRow, StepRow, WarningRow

COLUMNS = tuple(field.name for field in fields(WarningRow))
_ALL = ", ".join(COLUMNS)
_MARKS = ", ".join("?" for _column in COLUMNS)
_SETS = ", ".join(f"{name}=excluded.{name}" for name in COLUMNS)
_OPEN = "state IN ('proposed', 'issued', 'adjusted')"
_STEP = "subject, playbook, step, state, person, at, time_source, who, note, items"


class WarningStore(StoreBase):
    """Warnings, answers, signals, and what was ticked off."""

    @property
    def _now(self) -> sqlite3.Connection:
        """Sees what this process has just written inside a transaction that is still open."""
        return self.database.current()

    def has_warnings(self) -> bool:
        """Whether the tables are there: a database of before has none until the daemon, or whoever writes, opens it."""
        query = "SELECT 1 FROM sqlite_master WHERE type='table' AND name='warning_signal'"
        return self._db.execute(query).fetchone() is not None

    def _touch(self, db: sqlite3.Connection) -> None:
        """The copy of the state at the targets is old now."""
        db.execute(
            "INSERT INTO meta VALUES(?,'1') ON CONFLICT(key) DO UPDATE SET value=CAST(value AS INTEGER)+1", (REVISION,)
        )

    def next_warning(self, year: int) -> int:
        """The next number of a year, from 1 on."""
        return int(self._now.execute("SELECT max(number) FROM warning WHERE year=?", (year,)).fetchone()[0] or 0) + 1

    def put_warning(self, row: WarningRow, fields_: str | None = None) -> None:
        """A warning as it is now; with ``fields_`` (JSON) as a revision of its own."""
        values = list(astuple(row))
        values[COLUMNS.index("recipients")] = json.dumps(row.recipients, ensure_ascii=False)
        with self.database.write() as db:
            # never OR REPLACE: that would remove another one that the same signal has opened
            db.execute(f"INSERT INTO warning({_ALL}) VALUES({_MARKS}) ON CONFLICT(id) DO UPDATE SET {_SETS}", values)
            if fields_ is not None:
                self._touch(db)
                db.execute(
                    "INSERT INTO warning_revision VALUES(?,?,?,?)", (row.id, row.revision, row.changed, fields_)
                )  # fmt: skip

    def warning(self, number: str) -> WarningRow | None:
        """The warning of this id, None where there is none."""
        found = self._now.execute(f"SELECT {_ALL} FROM warning WHERE id=?", (number,)).fetchone()
        return None if found is None else _row(found)

    def warnings(self, *, open_only: bool = True, limit: int = -1) -> list[WarningRow]:
        """Those that are proposed or stand, or all; the newest first."""
        where = f" WHERE {_OPEN}" if open_only else ""
        query = f"SELECT {_ALL} FROM warning{where} ORDER BY created DESC, number DESC LIMIT ?"
        return [_row(one) for one in self._now.execute(query, (limit,))]

    def newest_of_signal(self, signal: str, subject: str) -> WarningRow | None:
        """The warning that a signal has proposed about a subject: the open one, else the newest."""
        # the open one first: a clock that was set back makes it look older than one that is over
        query = (
            f"SELECT {_ALL} FROM warning WHERE signal=? AND subject=?"
            f" ORDER BY {_OPEN} DESC, created DESC, number DESC LIMIT 1"
        )
        found = self._now.execute(query, (signal, subject)).fetchone()
        return None if found is None else _row(found)

    def count_signal(self, number: str, times: int, seen: int) -> None:
        """The signal of a warning came again. No revision: it only counts."""
        with self.database.write() as db:
            db.execute("UPDATE warning SET count=count+?, seen=max(seen, ?) WHERE id=?", (times, seen, number))

    def warning_revisions(self, number: str) -> list[tuple[int, int, str]]:
        """Revision, when, and the fields of its entry as JSON; the oldest first."""
        query = "SELECT revision, at, fields FROM warning_revision WHERE warning=? ORDER BY revision"
        return [(row[0], row[1], row[2]) for row in self._now.execute(query, (number,))]

    # who was told, and has answered

    def put_answer(self, row: AnswerRow) -> None:
        """A recipient as they are now."""
        with self.database.write() as db:
            self._touch(db)
            marks = ",".join("?" for _value in row)
            db.execute(f"INSERT OR REPLACE INTO warning_answer VALUES({marks})", row)

    def answers(self, number: str, revision: int) -> list[AnswerRow]:
        """The recipients of a revision, in the order in which they were asked."""
        query = "SELECT * FROM warning_answer WHERE warning=? AND revision=? ORDER BY asked, person"
        return [AnswerRow(*row) for row in self._now.execute(query, (number, revision))]

    def add_ring(self, row: RingRow) -> None:
        """Somebody was rung."""
        with self.database.write() as db:
            db.execute("INSERT INTO warning_ring VALUES(?,?,?,?,?)", row)

    def rings(self, number: str) -> list[RingRow]:
        """Who was rung for a warning, the oldest first."""
        found = self._now.execute("SELECT * FROM warning_ring WHERE warning=? ORDER BY at", (number,))
        return [RingRow(number_, person, at, who, bool(reached)) for number_, person, at, who, reached in found]

    # what it sets in motion

    def put_action(self, row: ActionRow) -> None:
        """An action as it is now."""
        with self.database.write() as db:
            db.execute("INSERT OR REPLACE INTO warning_action VALUES(?,?,?,?,?,?)", row)

    def warning_actions(self, number: str | None = None) -> list[ActionRow]:
        """The actions of a warning; None: of all, those alone that are not over."""
        if number is None:
            query = "SELECT * FROM warning_action WHERE state IN ('wanted', 'begun') ORDER BY at, action"
            return [ActionRow(*row) for row in self._now.execute(query)]
        query = "SELECT * FROM warning_action WHERE warning=? ORDER BY at, action"
        return [ActionRow(*row) for row in self._now.execute(query, (number,))]

    def add_warning_notice(self, at: int, notice: str) -> None:
        """Keep a notice (JSON) until it is handed over."""
        with self.database.write() as db:
            db.execute("INSERT INTO warning_notice(at, notice) VALUES(?,?)", (at, notice))

    def hand_over_notices(self, hand: Callable[[str], None], limit: int = 100) -> int:
        """Hand over the oldest notices and forget them; how many. One process at a time does it: none goes twice, but
        for a crash in between. What ``hand`` raises ends it, and all of these stay: some may go twice then."""
        if self._now.execute("SELECT 1 FROM warning_notice LIMIT 1").fetchone() is None:
            return 0  # the common case costs no transaction
        with self.database.write() as db:
            found = db.execute("SELECT number, notice FROM warning_notice ORDER BY number LIMIT ?", (limit,)).fetchall()
            for _number, notice in found:
                hand(notice)
            db.executemany("DELETE FROM warning_notice WHERE number=?", ((number,) for number, _notice in found))
        return len(found)

    def waiting_notices(self) -> Sequence[str]:
        """The notices that were not handed over, the oldest first."""
        return [row[0] for row in self._now.execute("SELECT notice FROM warning_notice ORDER BY number")]

    # signals

    def signal_is_on(self, signal: str, subject: str) -> bool:
        """Whether a signal was seen to be on, and not seen to be off since."""
        query = "SELECT 1 FROM warning_signal WHERE signal=? AND subject=?"
        return self._now.execute(query, (signal, subject)).fetchone() is not None

    def set_signal(self, signal: str, subject: str, since: int | None) -> None:
        """It is on since a time, or off (None)."""
        with self.database.write() as db:
            if since is None:
                db.execute("DELETE FROM warning_signal WHERE signal=? AND subject=?", (signal, subject))
            else:
                db.execute("INSERT OR IGNORE INTO warning_signal VALUES(?,?,?)", (signal, subject, since))

    def signals_on(self) -> list[tuple[str, str]]:
        """The signals that are on, with their subjects."""
        return list(self._now.execute("SELECT signal, subject FROM warning_signal ORDER BY signal, subject"))

    # playbooks

    def add_step(self, row: StepRow) -> None:
        """A step was ticked."""
        with self.database.write() as db:
            self._touch(db)
            db.execute(f"INSERT INTO playbook_step({_STEP}) VALUES(?,?,?,?,?,?,?,?,?,?)", row)

    def steps(self, subject: str) -> list[StepRow]:
        """What was ticked for a warning or an evacuation, in the order in which it was written down."""
        found = self._now.execute(f"SELECT {_STEP} FROM playbook_step WHERE subject=? ORDER BY number", (subject,))
        return [StepRow(*row) for row in found]


def _row(found: Sequence[object]) -> WarningRow:
    values = dict(zip(COLUMNS, found, strict=True))
    values["recipients"] = tuple(json.loads(str(values["recipients"])))
    values["drill"] = bool(values["drill"])
    return WarningRow(**values)  # type: ignore[arg-type]
