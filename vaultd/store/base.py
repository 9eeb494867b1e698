"""What all of the store's parts stand on: the database, names and numbers, values by key, counters that only grow."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from vaultd.store.alerts import Alerts
from vaultd.store.database import Database


class StoreBase:
    """The database, and who is who in it."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.database = Database(path, read_only=read_only)
        self.alerts = Alerts(self.database)
        self._ids: dict[tuple[str, str], int] = {}

    def close(self) -> None:
        """Close every connection."""
        self.database.close()

    @property
    def _db(self) -> sqlite3.Connection:
        return self.database.reader()

    @contextlib.contextmanager
    def one_moment(self) -> Iterator[None]:
        """What this thread reads inside is all of one moment, whatever is written meanwhile."""
        db = self._db
        db.execute("BEGIN")
        try:
            yield
        finally:
            db.execute("COMMIT")

    def _id(self, table: str, name: str) -> int:
        known = self._ids.get((table, name))
        if known is not None:
            return known
        row = self._db.execute(f"SELECT id FROM {table} WHERE name=?", (name,)).fetchone()
        if row is None:
            with self.database.write() as db:
                db.execute(f"INSERT OR IGNORE INTO {table}(name) VALUES(?)", (name,))
                row = db.execute(f"SELECT id FROM {table} WHERE name=?", (name,)).fetchone()
        self._ids[table, name] = int(row[0])
        return int(row[0])

    def vault_id(self, name: str) -> int:
        """The number of a vault, given on first use."""
        return self._id("vault", name)

    def target_id(self, name: str) -> int:
        """The number of a target, given on first use."""
        return self._id("target", name)

    def known(self, table: str, name: str) -> int | None:
        """The number of a vault or target (``table``), or None; never makes one."""
        row = self._db.execute(f"SELECT id FROM {table} WHERE name=?", (name,)).fetchone()
        return None if row is None else int(row[0])

    def vault_names(self) -> dict[int, str]:
        """The names of vaults by their numbers."""
        return dict(self._db.execute("SELECT id, name FROM vault").fetchall())

    def target_names(self, numbers: Iterable[int]) -> list[str]:
        """The names of targets by their numbers."""
        names = dict(self._db.execute("SELECT id, name FROM target").fetchall())
        return [names[number] for number in numbers if number in names]

    def target_repository(self, name: str) -> str | None:
        """The repository id that was seen when the target was added."""
        row = self._db.execute("SELECT repository FROM target WHERE name=?", (name,)).fetchone()
        return None if row is None else row[0]

    def pin_repository(self, name: str, repository: str) -> None:
        """Keep the repository's id: another one at the same place is refused later."""
        number = self.target_id(name)
        with self.database.write() as db:
            db.execute("UPDATE target SET repository=? WHERE id=?", (repository, number))

    def get_meta(self, key: str) -> str | None:
        """A value kept under a key."""
        row = self._db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Keep a value under a key."""
        with self.database.write() as db:
            db.execute("INSERT INTO meta VALUES(?,?) ON CONFLICT(key) DO UPDATE SET value=excluded.value", (key, value))

    def meta_keys(self, prefix: str) -> list[str]:
        """The keys that begin with ``prefix`` and have a value."""
        query = "SELECT key FROM meta WHERE substr(key, 1, ?)=? AND value<>''"
        return [row[0] for row in self._db.execute(query, (len(prefix), prefix))]

    def seq(self) -> int:
        """The sequence number of the newest change."""
        return int(self.get_meta("seq") or 0)

    def next_order(self) -> int:
        """The next running number for a change set; only ever grows."""
        with self.database.write():
            order = self.get_order() + 1
            self.set_meta("order", str(order))
        return order

    def get_order(self) -> int:
        """The newest running number given to a change set."""
        with self.database.write() as db:  # the writer sees its own uncommitted number
            row = db.execute("SELECT value FROM meta WHERE key='order'").fetchone()
        return 0 if row is None else int(row[0])

    def raise_order(self, minimum: int) -> None:
        """Make the next running number larger than one that was met in a repository."""
        if self.get_order() < minimum:
            self.set_meta("order", str(minimum))

    def note_time(self, moment: int) -> None:
        """A snapshot has this time (nanoseconds since 1970): younger ones must have a later one."""
        with self.database.write():
            if moment > self.last_time():
                self.set_meta("last_time", str(moment))

    def last_time(self) -> int:
        """The latest time that any snapshot has got, 0 when there is none."""
        return int(self.get_meta("last_time") or 0)
