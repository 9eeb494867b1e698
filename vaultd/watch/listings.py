"""Directories that the catalog has, but nothing in them, on their way into it as they were listed.

A first scan, or a tree that was copied into a vault, is all such. Paths are not looked at a second time, as
``record`` does inside its transaction: a directory is listed only after its own entry is in the catalog, so whatever
changes in it after the listing has a hint that is written, before this (the directory is not bare any more then, and
each path is looked at) or after it. An entry that is out of date all the same is pending, and a run looks at each path
before and after it.
"""

from __future__ import annotations

from collections.abc import Sequence

from vaultd.names import parent
from vaultd.store import Store
from vaultd.store.catalog import Row
from vaultd.watch import guard
from vaultd.watch.differences import BATCH, Differences

LONGEST = 4 * BATCH
"""A longer listing would keep other writers waiting."""


class Listings:
    """Collects listings; about every 5,000 paths are one transaction, counted where ``differences`` counts.

    ``whole``: the directories that were written so.
    """

    def __init__(
        self, store: Store, vault: int, targets: tuple[int, ...], root: bytes, accept: bool, differences: Differences
    ) -> None:
        self._store = store
        self._vault = vault
        self._targets = targets
        self._root = root
        self._accept = accept
        self._differences = differences
        self.whole: set[bytes] = set()
        self._listings: list[tuple[bytes, Sequence[Row]]] = []
        self._below: list[bytes] = []
        self._paths = 0

    def takes(self, folder: bytes, rows: Sequence[Row], below: Sequence[bytes]) -> bool:
        """Keep the listing of a directory that was bare before it was listed. ``below`` are the directories in it that
        are to be walked: ``write`` gives them back. False when it has to be written path by path."""
        if len(rows) > LONGEST:
            return False
        self._listings.append((folder, rows))
        self._below.extend(below)
        self._paths += len(rows)
        if self._paths >= BATCH:
            self._write()
        return True

    def write(self) -> list[bytes]:
        """Write what is left, and return the directories that can be walked now."""
        if self._listings:
            self._write()
        below, self._below = self._below, []
        return below

    def _write(self) -> None:
        listings, self._listings, self._paths = self._listings, [], 0
        with self._store.database.write():
            now = guard.check(self._store, self._vault, self._root, accept=self._accept)  # after the listings
            seen = [(folder, _seen(folder, rows, now)) for folder, rows in listings if not now.hides(folder)]
            count, left = self._store.observe_listings(self._vault, self._targets, seen)
        counts = self._differences.counts
        counts.changed += count
        counts.skipped |= now.skipped
        counts.problem = counts.problem or now.problem
        again = set(left)
        self.whole.update(folder for folder, _rows in seen if folder not in again)
        for folder, rows in seen:
            if folder in again:
                for row in rows:
                    self._differences.note(folder + b"/" + row[0] if folder else row[0])


def _seen(folder: bytes, rows: Sequence[Row], now: guard.Guard) -> Sequence[Row]:
    """The listing without the mounts of which nothing can be said."""
    hidden = {mount[len(folder) + 1 if folder else 0 :] for mount in now.skipped if parent(mount) == folder}
    return [row for row in rows if row[0] not in hidden] if hidden else rows
