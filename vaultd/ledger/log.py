"""The log's writer. Entries go to the write-ahead files and are then on record; ``seal`` makes tiles and signs.

The order that makes ``kill -9`` and a power cut harmless: write-ahead files durable, entry acknowledged; tiles
durable; checkpoint signed and kept; ``checkpoint`` replaced; new write-ahead files with what came meanwhile; old ones
removed. What was signed is never taken back: at start the newest kept checkpoint holds, tiles beyond it are made again
from the write-ahead files. Every checkpoint but the newest is named, by its digest, in an entry before the next one is
signed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vaultd import files
from vaultd.errors import BusyError, LedgerError, LedgerStoppedError
from vaultd.i18n import _
from vaultd.ledger import entry, epochs, recovery, spec, tree, wal
from vaultd.ledger.checkpoint import Checkpoint
from vaultd.ledger.edge import Edge
from vaultd.ledger.events import Begin, Body, CheckpointKept
from vaultd.ledger.folder import LogFolder
from vaultd.ledger.note import Note, SignerKey

WAL = "wal"
Step = Callable[[str], None]


def _no_step(_name: str) -> None:
    return


def create(folder: Path, signer: SignerKey, root: SignerKey, begin: Begin) -> None:
    """Make a log with its first entry, signed. Raises FileExistsError when one is there.

    It is made under another name and renamed: a crash leaves none, or a whole one.
    """
    if folder.exists():
        raise FileExistsError(folder)
    making = folder.with_name(f".{folder.name}.new")
    recovery.remove_tree(making)
    files.make_private_directory(making / "keys")
    files.create_exclusive(making / "keys" / epochs.ROOT, f"{root.verifier.encoded()}\n".encode())
    first = epochs.Epoch(0, 0, signer.verifier)
    files.create_exclusive(making / "keys" / "0", epochs.certify(first, root))
    spec.install(making)
    with contextlib.closing(Log(making, signer, new=True)) as log:
        log.append([begin])
        log.seal()
    making.rename(folder)
    files.fsync_directory(folder.parent)


class Log:
    """One log, open for writing: one at a time for each folder. ``append`` and ``seal`` may run in several threads."""

    def __init__(
        self, folder: Path, signer: SignerKey, *, known: Checkpoint | None = None, new: bool = False,
        step: Step = _no_step,
    ) -> None:  # fmt: skip
        """Open, and finish what a crash left. ``known``: a checkpoint that somebody has seen; the log must hold it.

        Raises LedgerError, BusyError when another process has it, LedgerStoppedError when it is older than ``known`` or
        than what it has signed.
        """
        self.folder = LogFolder(folder)
        self.signer = signer
        self.origin = signer.name
        self._step = step
        self._lock, self._sealing = threading.Lock(), threading.Lock()
        self._wal: wal.WriteAhead | None = None
        self._handle = _exclusive(folder)
        try:
            self._open(known, new=new)
        except BaseException as error:
            self.close()
            if isinstance(error, (OSError, ValueError)):
                raise _damaged(folder, error) from error
            raise

    def _open(self, known: Checkpoint | None, *, new: bool) -> None:
        folder = self.folder
        self.keys = epochs.read(folder.path)
        if self.keys.newest.key != self.signer.verifier:
            raise LedgerError(
                _("the ledger {folder} is not written to").format(folder=folder.path),
                _("its key is another one than the log's"), _("bring back the key that belongs to it"),
            )  # fmt: skip
        files.make_private_directory(folder.kept)
        files.make_private_directory(folder.path / WAL)
        self.signed, signed_note = recovery.newest_signed(folder, self.keys, new=new)
        self._digest = hashlib.sha256(signed_note).digest()
        if known is not None:
            self.check(known)
        if signed_note:
            files.replace(folder.checkpoint_file, signed_note)
        self._edge = Edge.read(folder, self.signed.size)
        if tree.root_hash(self._node(self.signed.size), self.signed.size) != self.signed.root:
            raise ValueError("its tiles are not those of its checkpoint")
        self._tail, self.lost = recovery.tail(folder, self.signed.size, folder.path / WAL)
        self._named = new or any(_names(one, self.signed.size) for one in self._tail)
        self._last_time = recovery.last_time(folder, self.signed.size, self._tail)
        self._rotate()
        recovery.remove_unsigned(folder, self.signed.size)

    def check(self, known: Checkpoint) -> None:
        """Raise LedgerStoppedError unless the signed log holds what somebody has seen of it."""
        what = _("the ledger signs nothing more under the name {origin}").format(origin=self.origin)
        hint = _("bring back the newer ledger folder; or begin a new log that names this one: `vaultd ledger continue`")
        if known.size > self.signed.size:
            why = _("it has {size} signed entries, and there is a checkpoint of {known}")
            raise LedgerStoppedError(what, why.format(size=self.signed.size, known=known.size), hint)
        if tree.root_hash(self._node(self.signed.size), known.size) != known.root:
            why = _("its first {known} entries are others than those that were signed")
            raise LedgerStoppedError(what, why.format(known=known.size), hint)

    @property
    def size(self) -> int:
        """How many entries are on record, signed or not."""
        return self.signed.size + len(self._tail)

    @property
    def unsigned(self) -> int:
        """How many entries are on record that no checkpoint has yet."""
        return len(self._tail)

    def _node(self, size: int) -> tree.NodeHash:
        return lambda height, index: self.folder.node(size, height, index)

    def append(self, bodies: Sequence[Body | entry.Begun]) -> int:
        """Put entries on record; durable when this returns. Returns the index of the first; the others follow it.

        Raises LedgerError when they cannot be written; the log is then as it was.
        """
        with self._lock:
            first = self.size
            kept = [] if self._named else [CheckpointKept(self.signed.size, self._digest)]
            now = max(self._last_time, entry.time_text(time.time_ns()))
            new = entry.encode_all([*kept, *bodies], self.origin, first, now)
            self._step("encoded")
            try:
                if self._wal is None:
                    raise OSError(errno.EBADF, os.strerror(errno.EBADF))
                self._wal.append(new)
            except OSError as error:
                raise _unwritten(self.folder.path, error) from error
            self._step("on record")
            self._tail += new
            self._named, self._last_time = True, now
            return first + len(kept)

    def seal(self) -> bytes | None:
        """Make tiles of all entries on record, and sign. Returns the new checkpoint's note, None when nothing is new.

        Raises LedgerError; the log must then be opened anew.
        """
        with self._sealing:
            if not self._tail:
                return None
            try:
                return self._seal()
            except OSError as error:
                raise _unwritten(self.folder.path, error) from error
            except ValueError as error:
                raise _damaged(self.folder.path, error) from error

    def _seal(self) -> bytes:
        if not self._named:
            self.append([])
        with self._lock:
            entries = list(self._tail)
        size = self.signed.size + len(entries)
        if size < self.keys.newest.first:  # the entry that names the key is gone: nobody would believe the signature
            raise ValueError(f"its key signs from {self.keys.newest.first} entries on, and it has {size}")
        edge, contents = self._edge.extended(entries)
        files.create_many(
            self.folder.path / WAL, ((self.folder.path / tile.path, content) for tile, content in contents)
        )
        self._step("tiles written")
        node = self._node(size)
        new = Checkpoint(self.origin, size, tree.root_hash(node, size))
        # From the tiles as they are on disk: what is signed holds what was signed, or nothing is signed.
        proof = tree.consistency_proof(node, self.signed.size, size)
        tree.check_consistency(self.signed.size, self.signed.root, size, new.root, proof)
        signed = Note(new.text(), (self.signer.sign(new.text()),)).encoded()
        self._step("signed")
        files.create_exclusive(self.folder.kept_file(size), signed)
        self._step("kept")
        files.replace(self.folder.checkpoint_file, signed)
        self._step("checkpoint replaced")
        with self._lock:
            before, self._edge = self.signed, edge
            self.signed, self._digest = new, hashlib.sha256(signed).digest()
            self._tail = self._tail[len(entries) :]
            self._named = any(_names(one, size) for one in self._tail)
            self._rotate()
        recovery.remove_covered(self.folder, before.size, size)
        self._step("covered tiles removed")
        return signed

    def _rotate(self) -> None:
        """New write-ahead files for what is not signed; the old ones go."""
        folder = self.folder.path / WAL
        old, self._wal = self._wal, None
        if old is not None:
            old.close()
        stale = [start for start in wal.starts(folder) if start != self.signed.size]
        self._wal = wal.WriteAhead(folder, self.signed.size, self._tail)
        self._step("write-ahead files new")
        for start in stale:
            for path in wal.paths(folder, start):
                path.unlink(missing_ok=True)
        files.fsync_directory(folder)
        self._step("write-ahead files removed")

    def close(self) -> None:
        """Close the files. What is not signed stays in the write-ahead files."""
        with self._sealing, self._lock:  # nobody writes to a file whose number may be another file's in a moment
            if self._wal is not None:
                self._wal.close()
                self._wal = None
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1


def _names(encoded: bytes, size: int) -> bool:
    if b'"type":"checkpoint"' not in encoded:
        return False
    found = entry.decode(encoded)
    return bool(found["type"] == CheckpointKept.TYPE and found.get("size") == size)


def _exclusive(folder: Path) -> int:
    try:
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unwritten(folder, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise BusyError(
            _("the ledger {folder} is not written to").format(folder=folder), _("another process has it open")
        ) from None
    return handle


def _unwritten(folder: Path, error: OSError) -> LedgerError:
    return LedgerError(
        _("the ledger {folder} cannot be written to").format(folder=folder), error.strerror or str(error),
        _("protection goes on, and what happens is recorded later; make room, or bring the folder back"),
    )  # fmt: skip


def _damaged(folder: Path, error: Exception) -> LedgerError:
    return LedgerError(
        _("the ledger {folder} is damaged").format(folder=folder), str(error),
        _("`vaultd ledger verify` says what is wrong; protection goes on"),
    )  # fmt: skip
