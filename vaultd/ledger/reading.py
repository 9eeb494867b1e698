"""Reading a ledger for people and programs: whose it is, its newest entries, an entry by its index.

What no checkpoint has yet is read from the write-ahead files, and said to be unsigned. Nothing is verified here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vaultd.errors import LedgerError, LedgerMissingError
from vaultd.i18n import _
from vaultd.ledger import checkpoint, entry, epochs, wal
from vaultd.ledger.checkpoint import Checkpoint
from vaultd.ledger.folder import LogFolder
from vaultd.ledger.tiles import WIDTH
from vaultd.names import display

WAL = "wal"


class Reader:
    """A ledger's entries, by index. Raises LedgerError when there is none, or it cannot be read."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise LedgerMissingError(
                _("there is no ledger"), display(path), _("make it: `vaultd ledger init`")
            )  # fmt: skip
        self.folder = LogFolder(path)
        self.signed = self._guarded(self._checkpoint)
        self._tail = self._guarded(self._unsigned)
        self.size = self.signed.size + len(self._tail)

    def _guarded(self, read: Any, *arguments: Any) -> Any:
        try:
            return read(*arguments)
        except (OSError, ValueError) as error:
            raise LedgerError(
                _("the ledger {folder} cannot be read").format(folder=display(self.folder.path)), str(error),
                _("`vaultd ledger verify` says what is wrong"),
            ) from error  # fmt: skip

    def _checkpoint(self) -> Checkpoint:
        return checkpoint.parse(self.folder.read_note(self.folder.checkpoint_file).text)

    def _unsigned(self) -> list[bytes]:
        found = list[bytes]()
        for start in wal.starts(self.folder.path / WAL):
            if start <= self.signed.size:
                entries, _after = wal.read(self.folder.path / WAL, start)
                found = max(found, entries[self.signed.size - start :], key=len)
        return found

    def note(self) -> bytes:
        """The newest checkpoint, as it was signed."""
        return bytes(self._guarded(self.folder.read_note, self.folder.checkpoint_file).encoded())

    def raw(self, index: int) -> bytes:
        """An entry's bytes. Raises LedgerError when there is none of this index."""
        if index >= self.signed.size:
            if index >= self.size:
                raise LedgerError(_("the ledger has no entry {index}").format(index=index))
            return bytes(self._tail[index - self.signed.size])
        return bytes(self._guarded(self.folder.bundle, index // WIDTH, self.signed.size)[index % WIDTH])

    def entry(self, index: int) -> dict[str, Any]:
        """An entry's fields."""
        found: dict[str, Any] = self._guarded(entry.decode, self.raw(index))
        return found

    def in_order(self) -> Iterator[bytes]:
        """The bytes of all entries, the oldest first; reads a bundle at a time."""
        for index in range((self.signed.size + WIDTH - 1) // WIDTH):
            yield from self._guarded(self.folder.bundle, index, self.signed.size)
        yield from self._tail

    def newest_first(self) -> Iterator[dict[str, Any]]:
        """All entries, the newest first; reads a bundle at a time."""
        for one in reversed(self._tail):
            yield self._guarded(entry.decode, one)
        for index in range((self.signed.size + WIDTH - 1) // WIDTH - 1, -1, -1):
            for one in reversed(self._guarded(self.folder.bundle, index, self.signed.size)):
                yield self._guarded(entry.decode, one)


def origin_of(path: Path, host: str) -> str:
    """The name of the ledger of this host. Raises LedgerError when it is another host's, or of a newer vaultd."""
    reader = Reader(path)
    what = _("the ledger {folder} is not written to").format(folder=display(path))
    try:
        keys = epochs.read(path)
        first = entry.decode(reader.raw(0))
    except entry.NewerError as error:
        raise LedgerError(what, str(error), _("install the newer vaultd again")) from error
    except (OSError, ValueError) as error:
        raise LedgerError(what, str(error), _("`vaultd ledger verify` says what is wrong")) from error
    if first.get("host") != host:
        raise LedgerError(
            what, _("it belongs to host {other}, this one is {host}").format(other=first.get("host"), host=host),
            _("bring back this host's own; or begin a new one that names it: `vaultd ledger continue`"),
        )  # fmt: skip
    return keys.origin
