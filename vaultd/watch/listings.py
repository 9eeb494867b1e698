"""Directories that the catalog has, but nothing in them, on their way into it as they were listed.

A first scan, or a tree that was copied into a vault, is all such. Paths are not looked at a second time, as
``record`` does inside its transaction. A directory is listed only after its own entry is in the catalog, so whatever
changes in it after the listing has a hint that is written: before this (the directory is not bare any more then, and
each path is looked at) or after it. Only the hint of a deletion may come before this and find nothing to delete; so the
directory itself is looked at again, once, and where it is not as it was, each path is. An entry that is out of date all
the same (a change within one clock tick) is pending, and a run looks at each path before and after it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from vaultd.names import join
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
        self._listings: list[_Listing] = []
        self._below: list[bytes] = []
        self._paths = 0

    def takes(self, folder: bytes, own: os.stat_result, rows: Sequence[Row], below: Sequence[bytes]) -> bool:
        """Keep the listing of a directory that was bare before it was listed; ``own``: what the directory was just
        before. ``below`` are the directories in it that are to be walked: ``write`` gives them back. False when it has
        to be written path by path."""
        if len(rows) > LONGEST:
            return False
        self._listings.append(_Listing(folder, own, rows))
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
            seen = [one for one in listings if not now.hides(one.folder)]
            left = {one.folder for one in seen if now.holds(one.folder) or not one.is_still(self._root)}
            count, others = self._store.observe_listings(
                self._vault, self._targets, [(one.folder, one.rows) for one in seen if one.folder not in left]
            )
        left.update(others)
        self.whole.update(one.folder for one in seen if one.folder not in left)
        counts = self._differences.counts
        counts.changed += count
        counts.skipped |= now.skipped
        counts.problem = counts.problem or now.problem
        for one in seen:
            if one.folder in left:
                for row in one.rows:
                    self._differences.note(one.folder + b"/" + row[0] if one.folder else row[0])


@dataclass(frozen=True, slots=True)
class _Listing:
    folder: bytes
    own: os.stat_result
    rows: Sequence[Row]

    def is_still(self, root: bytes) -> bool:
        """Whether the directory is the one that was listed, and no name has come or gone since. One ``lstat``: to look
        at each directory above would take minutes where two thousand lie in each other."""
        try:
            return _identity(os.lstat(join(root, self.folder))) == _identity(self.own)
        except OSError:
            return False


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_dev, found.st_ino, found.st_mtime_ns
