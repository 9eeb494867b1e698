"""Paths that differ from the catalog, on their way into it in batches."""

from __future__ import annotations

from vaultd.store import Store
from vaultd.watch.record import record
from vaultd.watch.result import Counts

BATCH = 5000


class Differences:
    """Collects paths; every 5,000 of them are one transaction, counted in ``counts``."""

    def __init__(
        self, store: Store, vault: int, targets: tuple[int, ...], root: bytes, accept: bool, counts: Counts
    ) -> None:
        self.counts = counts
        self._store = store
        self._vault = vault
        self._targets = targets
        self._root = root
        self._accept = accept
        self._paths: dict[bytes, None] = {}

    def note(self, path: bytes) -> None:
        """The path differs."""
        self._paths[path] = None
        if len(self._paths) >= BATCH:
            self.write()

    def write_if_has(self, path: bytes) -> None:
        """Write what was noted if the path is among it."""
        if path in self._paths:
            self.write()

    def write(self) -> None:
        """Write what was noted."""
        if self._paths:
            paths, self._paths = self._paths, {}
            done = record(self._store, self._vault, self._targets, self._root, paths, accept=self._accept)
            self.counts.add(done)
