"""Paths that differ from the catalog, on their way into it: looked at once more, then written in batches."""

from __future__ import annotations

import os

from vaultd.model import Stat
from vaultd.names import join
from vaultd.store import Store
from vaultd.watch.result import Counts

BATCH = 5000


class Differences:
    """Collects paths; every 5,000 of them are one transaction."""

    def __init__(self, store: Store, vault: int, targets: tuple[int, ...], root: bytes, counts: Counts) -> None:
        self._store = store
        self._vault = vault
        self._targets = targets
        self._root = root
        self.counts = counts
        self._paths: dict[bytes, bool] = {}

    def note(self, path: bytes, *, known: bool) -> None:
        """The path differs; ``known``: the catalog has it."""
        self._paths[path] = known
        if len(self._paths) >= BATCH:
            self.write()

    def write(self) -> None:
        """Write what was noted.

        Each path is looked at again inside the transaction: between the listing and now the daemon may have seen, and
        written, something younger, and a stale "gone" would hide a file until the next scan.
        """
        if not self._paths:
            return
        changed: list[tuple[bytes, Stat]] = []
        gone: list[bytes] = []
        with self._store.database.write():
            for path, known in self._paths.items():
                try:
                    changed.append((path, Stat.of(os.lstat(join(self._root, path)))))
                except (FileNotFoundError, NotADirectoryError):
                    if known:
                        gone.append(path)
                except OSError:
                    self.counts.not_read(path)
            self._store.observe(self._vault, self._targets, changed, gone)
        self.counts.changed += len(changed)
        self.counts.gone += len(gone)
        self._paths.clear()
