"""The log as its folder has it now, to compare with what others have of it."""

from __future__ import annotations

from dataclasses import dataclass

from vaultd.anchor import faults
from vaultd.errors import LedgerError
from vaultd.i18n import _
from vaultd.ledger import checkpoint, epochs, note, tree
from vaultd.ledger.checkpoint import Checkpoint
from vaultd.ledger.epochs import Keys
from vaultd.ledger.folder import LogFolder


@dataclass(frozen=True, slots=True)
class Local:
    """A log's keys and its newest signed checkpoint. The writer may go on meanwhile: what is signed stays."""

    folder: LogFolder
    keys: Keys
    signed: Checkpoint
    note: bytes

    @classmethod
    def read(cls, folder: LogFolder) -> Local:
        """From the folder. Raises LedgerError when it is not one."""
        try:
            keys = epochs.read(folder.path)
            newest = folder.read_note(folder.checkpoint_file)
            signed = checkpoint.parse(newest.text)
            _verify(keys, newest, signed)
        except (OSError, ValueError) as error:
            raise unreadable(folder, error) from error
        return cls(folder, keys, signed, newest.encoded())

    def root(self, size: int) -> bytes:
        """The root of the first ``size`` entries, which are signed."""
        try:
            return tree.root_hash(self._node, size)
        except (OSError, ValueError) as error:
            raise unreadable(self.folder, error) from error

    def proof(self, old: int, new: int) -> list[bytes]:
        """That the tree of ``new`` entries begins with that of ``old``."""
        try:
            return tree.consistency_proof(self._node, old, new)
        except (OSError, ValueError) as error:
            raise unreadable(self.folder, error) from error

    def _node(self, height: int, index: int) -> bytes:
        return self.folder.node(self.signed.size, height, index)

    def check(self, encoded: bytes, where: str, name: str, size: int | None = None) -> Checkpoint:
        """The checkpoint of a note that ``where`` has under ``name``. Raises InconsistentError unless our key has
        signed it and this log holds it; ``size``: it must be of this one."""
        try:
            found = note.parse(encoded)
            seen = checkpoint.parse(found.text)
            _verify(self.keys, found, seen)
            if size is not None and seen.size != size:
                raise ValueError(f"it is the checkpoint of {seen.size}")
        except ValueError as error:
            raise faults.foreign(where, name, str(error)) from error
        local = self.reaching(seen.size)
        if seen.size > local.signed.size:
            raise faults.shorter(where, seen.size, local.signed.size, seen, encoded)
        if local.root(seen.size) != seen.root:
            raise faults.forked(where, seen, encoded)
        return seen

    def reaching(self, size: int) -> Local:
        """This, or where it does not reach a size, what the log is by now: its writer may have signed and published
        more since this was read."""
        return self if size <= self.signed.size else Local.read(self.folder)


def _verify(keys: Keys, found: note.Note, seen: Checkpoint) -> None:
    if seen.origin != keys.origin:
        raise ValueError(f"it is of the log {seen.origin}")
    note.verify(found, [keys.at(seen.size).key])


def unreadable(folder: LogFolder, error: Exception) -> LedgerError:
    """The log's own folder cannot be read, so nothing can be compared with it."""
    return LedgerError(
        _("the ledger {folder} cannot be read").format(folder=folder.path), str(error),
        _("`vaultd ledger verify` says what is wrong; protection goes on"),
    )  # fmt: skip
