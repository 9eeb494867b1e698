"""The one writer of the ledger. What a snapshot settles is on record first, and acknowledged only then.

Where the ledger cannot be written to (disk, folder, key, or an older copy of it came back), protection goes on: what is
owed to the ledger is kept in the state database, in order, and goes on record when it can be. Other processes leave
their events there too; the daemon takes them up within a second. A crash between record and acknowledgement makes the
change set run again: the ledger then has its versions twice, both true.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import vaultd
from vaultd.config.model import Config
from vaultd.custody import forms, owed, vaults
from vaultd.custody.leaving import caller
from vaultd.custody.prepared import Prepared
from vaultd.errors import LedgerError, LedgerStoppedError, StateError, VaultdError
from vaultd.i18n import _
from vaultd.ledger import entry, private, reading
from vaultd.ledger.checkpoint import Checkpoint
from vaultd.ledger.create import finish_rotation
from vaultd.ledger.events import (
    AlertChanged,
    Body,
    ConfigurationLoaded,
    DaemonState,
    FileVersion,
    RunEnded,
    SnapshotMade,
)
from vaultd.ledger.log import Log
from vaultd.model import SnapshotKind
from vaultd.names import display
from vaultd.restic.proc import boot_id
from vaultd.store import Acknowledgement, NewVersion, RunRow, Signed, Store, bound_version

log = logging.getLogger(__name__)

SEAL_AT = 300_000
"""So many entries without a signature are in memory at most, 120 MB: then tiles are made of them at once. What is less
waits for the next signature: nobody's acknowledgement waits for a thousand small files to be durable."""

RETRY_SECONDS = 30.0
CONFIGURATION = "ledger:configuration"
"""Under this key: SHA-256 of the configuration that was loaded last."""


class Custody:
    """The ledger as the rest of vaultd writes to it. Safe in several threads."""

    def __init__(self, config: Config, store: Store) -> None:
        self.config = config
        self.store = store
        self._log: Log | None = None
        self._mutex = threading.RLock()
        self._retry_at = 0.0
        self._sealed_at = 0.0
        self._hurried = False
        self.urgent_size = 0
        """A checkpoint that is at least so large is published at once, without the usual pause."""
        self.may_sign = False
        """Nothing is signed before it is known what others have seen of this log (``daemon.publishing``)."""
        store.alerts.on_change = self._alert_changed

    # opening and closing

    def open(self) -> bool:
        """Open the ledger, and put on record what is owed to it. False, with an alert, when that cannot be done."""
        with self._mutex:
            if self._log is not None:
                return True
            self._retry_at = time.monotonic() + RETRY_SECONDS
            try:
                self._log = self._opened()
            except VaultdError as error:
                self._failed(error)
                return False
            self._catch_up()
            if self._log is None:
                return False
            for code in ("ledger", "ledger-stopped", "ledger-missing"):
                self.store.alerts.clear(code)
            return True

    def _opened(self) -> Log:
        folder = self.config.ledger_folder
        origin = reading.origin_of(folder, self.config.host.name)
        finish_rotation(folder, self.config.ledger_key)
        known = self.store.signed()
        same = known is not None and known.origin == origin
        return Log(
            folder, private.read(self.config.ledger_key, origin),
            known=Checkpoint(origin, known.size, known.root) if known is not None and same else None,
        )  # fmt: skip

    def _failed(self, error: VaultdError) -> None:
        """The ledger cannot be written to: say so, and keep what happens for later."""
        broken, self._log = self._log, None
        if broken is not None:
            broken.close()
        self._retry_at = time.monotonic() + RETRY_SECONDS
        log.error("%s", error)
        code = error.code if error.code in ("ledger-stopped", "ledger-missing") else "ledger"
        self.store.alerts.raise_(code, detail={"error": error.why or error.what})

    def close(self) -> None:
        """Sign what is not signed, and close. What cannot be signed now stays on record."""
        with self._mutex:
            self.seal()
            if self._log is not None:
                self._log.close()
                self._log = None
            self.store.alerts.on_change = _not_told

    # writing

    def prepared(self, vault: int, kind: SnapshotKind, run: str) -> Prepared:
        """For what a snapshot is going to put on record, should its files stay as they are; see ``record``."""
        opened = self._log
        return Prepared(self.store, vault, kind, run, None if opened is None else opened.origin)

    def record(self, done: Acknowledgement, ready: Prepared | None = None) -> int:
        """Record what a snapshot settles, and only then acknowledge it for its target. Returns the snapshot's number.

        ``ready``: what was prepared of it; it comes to ``done.bound``. Raises StateError; a ledger that cannot be
        written to is an alert and no error.
        """
        with self._mutex:
            if self._log is not None and self.store.owes_ledger():
                self._catch_up()
            ready = ready or Prepared(self.store, done.vault, done.kind, done.change_set)
            has_manifest = self._log is not None and done.kind is not SnapshotKind.DUMP
            digest = ready.manifest_of(done) if has_manifest else None
            snapshot = forms.snapshot(self.store, done, None if self._log is None else self._log.size, digest)

            def put(_db: sqlite3.Connection, versions: Sequence[NewVersion]) -> int | None:
                made = replace(snapshot, versions=len(ready.bound) + len(versions))
                if self._log is not None and not self.store.owes_ledger():
                    try:
                        return self._append([*self._entries(ready, made), *self._bodies(made, versions), made])
                    except LedgerError as error:
                        self._failed(error)
                self.store.add_event(made.TYPE, entry.fields_of(made))
                return None

            return self.store.acknowledge(done, put)

    def _entries(self, ready: Prepared, snapshot: SnapshotMade) -> Sequence[Body | entry.Begun]:
        if self._log is not None and self._log.origin == ready.origin:
            return ready.entries
        return self._bodies(snapshot, [bound_version(one) for one in ready.bound])  # it was out of order, or another

    def _bodies(self, snapshot: SnapshotMade, versions: Sequence[NewVersion]) -> list[FileVersion]:
        return [forms.version(snapshot.vault, snapshot.change_set, one) for one in versions]

    def note(self, body: Body) -> None:
        """Record an event. Where the ledger is out of order it is kept for later."""
        body = forms.fitting(self.config.host.state, body)
        try:
            if self._log is not None and not self.store.owes_ledger():
                self._append([body])
                return
        except LedgerError as error:
            self._failed(error)
        self.store.add_event(body.TYPE, entry.fields_of(body))

    def _catch_up(self) -> None:
        """Put on record what the state database has for the ledger."""
        try:
            owed.catch_up(self.store, self._append)
        except LedgerError as error:
            self._failed(error)

    def _append(self, bodies: Sequence[Body | entry.Begun]) -> int:
        opened = self._log
        if opened is None:
            raise LedgerError(_("the ledger is not open"))
        first = opened.append(bodies)
        if opened.unsigned >= SEAL_AT:
            self.seal()
        return first

    def begin(self, left: Sequence[RunRow]) -> None:
        """Open the ledger, and record what this process starts from: the runs that a dead daemon has left, and the
        configuration and the vaults that it names, where they are other ones than the last."""
        self.open()
        names = self.store.vault_names()
        for run in left:
            target = "".join(self.store.target_names([run.target]))
            self.note(RunEnded(names.get(run.vault, ""), target, run.kind, run.id, "failed", "interrupted"))
        digest = hashlib.sha256(self.config.file.read_bytes()).hexdigest() if self.config.file.exists() else ""
        if digest and digest != self.store.get_meta(CONFIGURATION):
            self.note(ConfigurationLoaded(display(self.config.file), bytes.fromhex(digest), caller()))
            self.store.set_meta(CONFIGURATION, digest)
        origin = "" if self._log is None else self._log.origin
        for changed in vaults.changed(self.config, self.store.get_meta(vaults.KNOWN), origin):
            self.note(changed)
        self.store.set_meta(vaults.KNOWN, vaults.known(self.config, origin))

    def daemon(self, state: str) -> None:
        """Record that the daemon "started" or "stopped"."""
        self.note(DaemonState(state, vaultd.__version__, os.getpid(), boot_id()))

    def _alert_changed(self, state: str, code: str, vault: str, target: str, who: str | None) -> None:
        try:
            self.note(AlertChanged(code, state, vault or None, target or None, who))
        except (
            StateError
        ) as error:  # ledger and state are on one full disk: the alert itself must be raised all the same
            log.error("the alert %s is not on record: %s", code, error)

    # signing

    def tick(self) -> bytes | None:
        """Called every second or so: open it again after a failure, take up what others have left, sign when it is due.

        Returns the new checkpoint's note when one was signed.
        """
        if self._log is None:
            if time.monotonic() < self._retry_at or not self.open():
                return None
        elif self.store.owes_ledger():
            with self._mutex:
                self._catch_up()
        if not self._hurried and time.monotonic() < self._sealed_at + self.config.ledger.checkpoint:
            return None
        signed = self.seal()
        if self._hurried and signed is not None:
            self._hurried, self.urgent_size = False, self.signed_size
        return signed

    def hurry(self) -> None:
        """Sign and publish at the next tick: what happens in an evacuation must not wait for a minute."""
        self._hurried = True

    def seal(self) -> bytes | None:
        """Sign what is on record. Returns the new checkpoint's note, None when there is none."""
        opened = self._log
        if opened is None or not self.may_sign:
            return None
        try:
            signed = opened.seal()
        except LedgerError as error:
            self._failed(error)
            return None
        if signed is not None:
            self._sealed_at = time.monotonic()
            new = opened.signed
            self.store.note_signed(Signed(new.origin, new.size, new.root, time.time_ns()))
        return signed

    @property
    def signed_size(self) -> int:
        """How many entries the newest checkpoint has; 0 while the ledger is out of order."""
        opened = self._log
        return 0 if opened is None else opened.signed.size

    def newest(self) -> tuple[int, bytes]:
        """The newest checkpoint: its size and its note. Raises LedgerError while the ledger is out of order."""
        opened = self._log
        if opened is None:
            raise LedgerError(_("the ledger is not open"))
        size = opened.signed.size
        try:
            return size, opened.folder.kept_file(size).read_bytes()
        except OSError as error:
            raise LedgerError(_("the newest checkpoint cannot be read"), error.strerror or str(error)) from error

    def stop(self, seen: Checkpoint) -> None:
        """Sign nothing more under this name: our key has signed ``seen``, and this log does not hold it. What happens
        is kept for the log that holds it, or for one that continues."""
        with self._mutex:
            self.store.note_signed(Signed(seen.origin, seen.size, seen.root, time.time_ns()))
            if self._log is not None:
                try:
                    self._log.check(seen)
                except LedgerStoppedError as error:
                    self._failed(error)


def _not_told(_state: str, _code: str, _vault: str, _target: str, _who: str | None) -> None:
    return
