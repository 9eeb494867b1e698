"""The entries of a ledger's signed part, each read once, and hashed on the way: at the end it is certain that what was
reported on is what the checkpoint says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from vaultd.errors import LedgerError
from vaultd.i18n import _
from vaultd.ledger import entry
from vaultd.ledger.folder import LogFolder
from vaultd.ledger.tiles import WIDTH
from vaultd.ledger.tree import HASH_SIZE, leaf_hash
from vaultd.ledger.verify.growing import Growing

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Mark:
    """What the log was at a size: its root hash, and the time of its newest entry."""

    root: bytes
    time: str


class Source:
    """The first ``size`` entries. ``marks`` has what the log was at each of the ``stops`` that were passed.

    ``lenient``: what cannot be read is left out and counted in ``unreadable``, for a log that does not hold.
    """

    def __init__(self, folder: LogFolder, size: int, root: bytes, stops: Sequence[int], *, lenient: bool) -> None:
        self.folder, self.size, self.root, self.lenient = folder, size, root, lenient
        self.marks = dict[int, Mark]()
        self.unreadable = 0
        self._stops = sorted({one for one in stops if 0 < one <= size}, reverse=True)
        self._growing = Growing()

    def bundles(self, progress: Progress) -> Iterator[Sequence[bytes]]:
        """The entries' bytes in order, a bundle at a time. Raises LedgerError when they are not those of the root."""
        for index in range(-(-self.size // WIDTH)):
            entries = self._bundle(index)
            if self.unreadable == 0:
                self._hash(entries)
            yield entries
            progress(min((index + 1) * WIDTH, self.size), self.size)
        if not self.lenient and self._growing.root() != self.root:
            raise LedgerError(
                _("there is no report"), _("the ledger was changed while it was read"),
                _("`vaultd ledger verify` says what is wrong"),
            )  # fmt: skip

    def _bundle(self, index: int) -> list[bytes]:
        try:
            return self.folder.bundle(index, self.size)
        except (OSError, ValueError) as error:
            if not self.lenient:
                raise LedgerError(_("there is no report"), str(error)) from error
            self.unreadable += min(WIDTH, self.size - index * WIDTH)
            return []

    def _hash(self, entries: Sequence[bytes]) -> None:
        row, first = b"".join(map(leaf_hash, entries)), self._growing.size
        end = first + len(entries)
        while self._growing.size < end:
            begin = self._growing.size
            stop = min(self._stops[-1], end) if self._stops else end
            for _tile in self._growing.add(row[(begin - first) * HASH_SIZE : (stop - first) * HASH_SIZE]):
                pass
            if self._stops and stop == self._stops[-1]:
                self._stops.pop()
                self.marks[stop] = Mark(self._growing.root(), self._time(entries[stop - first - 1]))

    def _time(self, encoded: bytes) -> str:
        try:
            return str(entry.decode(encoded)["t"])
        except ValueError:
            return ""
