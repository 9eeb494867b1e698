"""A folder with its catalog, to be scanned in tests."""

from __future__ import annotations

import os
from pathlib import Path

from vaultd.model import Stat
from vaultd.store import Store, catalog
from vaultd.watch.scan import ScanResult, scan


class Vault:
    """A folder, its catalog, and one target."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "vault"
        self.path.mkdir()
        self.root = os.fsencode(self.path)
        self.database = folder / "state.db"
        self.store = Store(self.database)
        self.id = self.store.vault_id("papers")
        self.target = self.store.target_id("office")

    def scan(self, subtree: bytes = b"", *, accept: bool = False) -> ScanResult:
        return scan(self.store, self.id, (self.target,), self.root, subtree, accept=accept)

    def known(self) -> dict[bytes, Stat]:
        db = self.store.database.reader()
        found = dict(catalog.below(db, self.id, b""))
        own = catalog.get(db, self.id, b"")
        return found if own is None else found | {b"": own.stat}

    def pending(self) -> dict[bytes, str]:
        return {row.path: row.kind for row in self.store.pending_rows(self.target, self.id)}

    def settle(self) -> None:
        with self.store.database.write() as db:
            db.execute("DELETE FROM pending")

    def truth(self) -> dict[bytes, Stat]:
        found = {b"": Stat.of(os.lstat(self.root))}
        for folder, folders, files in os.walk(self.root):
            for name in folders + files:
                path = folder + b"/" + name
                found[path[len(self.root) + 1 :]] = Stat.of(os.lstat(path))
        return found
