"""One SQLite file in WAL mode: a writer behind a lock, a reader for each thread.

``synchronous=NORMAL``: a power cut may take the last transactions away, whole and in order. That loses at most an
acknowledgement, and the work is done again; catalog and backlog are written together, so neither can run ahead of the
other.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from vaultd.errors import StateError
from vaultd.i18n import _
from vaultd.names import display
from vaultd.store.schema import MIGRATIONS, VERSION

BUSY_SECONDS = 60.0


class Database:
    """Connections to the state database. ``read_only`` never creates or changes anything."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._lock = threading.RLock()
        self._depth = 0
        self._owner: int | None = None
        """The thread whose transaction is open."""
        if read_only:
            if not path.exists():
                raise StateError(_("the state folder has no database"), str(path), _("has the daemon run here yet?"))
            self._writer = self.reader()
        else:
            path.touch(mode=0o600, exist_ok=True)
            self._writer = self._open()
        try:
            self._migrate()
        except StateError:
            self.close()
            raise

    def _open(self) -> sqlite3.Connection:
        mode = "ro" if self.read_only else "rw"
        db: sqlite3.Connection | None = None
        try:
            db = sqlite3.connect(
                f"{self.path.resolve().as_uri()}?mode={mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None,
                check_same_thread=False,
            )  # fmt: skip
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute("PRAGMA cache_size=-4096")
            db.execute("PRAGMA temp_store=MEMORY")
            if not self.read_only:
                db.execute("PRAGMA journal_mode=WAL")
        except sqlite3.Error as error:
            if db is not None:
                db.close()
            hint = _("check its folder and disk; a damaged one is restored from a target (docs/repository.md)")
            raise StateError(_("cannot open the state database"), f"{self.path}: {error}", hint) from error
        return db

    def _migrate(self) -> None:
        try:
            found = self._writer.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            hint = _("restore it from the copy on a target (docs/repository.md)")
            raise StateError(_("the state database is damaged"), f"{self.path}: {error}", hint) from error
        if found > VERSION:
            why = _("it has version {found}, this vaultd knows up to {known}").format(found=found, known=VERSION)
            raise StateError(_("the state database is of a newer vaultd"), why, _("install the newer vaultd again"))
        if self.read_only:
            return
        for version in range(found + 1, VERSION + 1):
            script = f"BEGIN IMMEDIATE;{MIGRATIONS[version]};PRAGMA user_version={version};COMMIT;"
            self._writer.executescript(script)

    def reader(self) -> sqlite3.Connection:
        """This thread's connection for reading: never waits for the writer."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._open()
            db.execute("PRAGMA query_only=1")
            self._local.db = db
            with self._lock:
                self._readers.append(db)
        return db

    def current(self) -> sqlite3.Connection:
        """For reading: inside this thread's own transaction the writer, which sees what is not committed yet; else
        this thread's reader."""
        return self._writer if self._owner == threading.get_ident() else self.reader()

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: committed at the end, rolled back on any exception. Nested ones join the outer.

        Raises StateError when the disk is full or does not work.
        """
        with self._lock:
            if self._depth:
                yield self._writer
                return
            with self._told():
                self._writer.execute("BEGIN IMMEDIATE")
                self._depth += 1
                self._owner = threading.get_ident()
                try:
                    yield self._writer
                    self._writer.execute("COMMIT")
                finally:
                    self._depth -= 1
                    self._owner = None
                    if self._writer.in_transaction:  # a full disk makes SQLite roll back by itself
                        self._writer.execute("ROLLBACK")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's word for a disk that is full or broken, as a StateError."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StateError(
                _("the state folder {path} cannot be used").format(path=display(self.path.parent)), str(error),
                _("run it as root or as the daemon's user; check that its disk is mounted and not full"),
            ) from error  # fmt: skip

    def backup_to(self, path: Path) -> None:
        """A consistent copy, by SQLite's own backup interface.

        Of one moment: without the read transaction it would begin anew whenever somebody writes in between.
        """
        path.touch(mode=0o600, exist_ok=True)
        copy, db = sqlite3.connect(path), self.reader()
        db.execute("BEGIN")
        try:
            db.execute("SELECT 1 FROM meta").fetchone()
            db.backup(copy, pages=2000)
        finally:
            db.execute("COMMIT")
            copy.close()

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for db in self._readers:
                db.close()
            self._readers.clear()
            if not self.read_only:
                self._writer.close()
