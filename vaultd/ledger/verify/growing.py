"""A tree that grows entry by entry and keeps only what further ones need: one pass gives the root of every size."""

from __future__ import annotations

from collections.abc import Iterator

from vaultd.ledger.tiles import HEIGHT, WIDTH, Tile, width_at
from vaultd.ledger.tree import EMPTY, HASH_SIZE, complete_hash, node_hash

FULL = WIDTH * HASH_SIZE


class Growing:
    """The complete subtrees that a tree of ``size`` consists of, largest first, and the row of each level's last tile,
    empty where that is full."""

    def __init__(self) -> None:
        self.size = 0
        self.rows: list[bytes] = []
        self._subtrees: list[bytes] = []

    def copy(self) -> Growing:
        """Another one that is as this is now."""
        made = Growing()
        made.size, made.rows, made._subtrees = self.size, list(self.rows), list(self._subtrees)
        return made

    def root(self) -> bytes:
        """The root hash."""
        if not self._subtrees:
            return EMPTY
        found = self._subtrees[-1]
        for left in self._subtrees[-2::-1]:
            found = node_hash(left, found)
        return found

    def add(self, leaves: bytes) -> Iterator[tuple[Tile, bytes]]:
        """Add a row of hashes of entries, which must not go beyond the end of the last tile; the full tiles that this
        makes come back. Nothing is added before they are taken."""
        whole = len(leaves) == FULL
        if not whole:
            for at in range(0, len(leaves), HASH_SIZE):
                self._push(0, leaves[at : at + HASH_SIZE])
        fresh, level = leaves, 0
        while fresh:
            if level == len(self.rows):
                self.rows.append(b"")
            row = self.rows[level] + fresh
            if len(row) < FULL:
                self.rows[level] = row
                return
            self.rows[level], fresh = b"", complete_hash(row)
            if whole and not level:
                self._push(HEIGHT, fresh)
            yield Tile(level, width_at(level, self.size) // WIDTH - 1), row
            level += 1

    def edge(self) -> Iterator[tuple[Tile, bytes]]:
        """The partial tiles of this size."""
        for level, row in enumerate(self.rows):
            if row:
                yield Tile(level, width_at(level, self.size) // WIDTH, len(row) // HASH_SIZE), row

    def _push(self, height: int, found: bytes) -> None:
        at = self.size >> height
        while at & 1:
            found, at = node_hash(self._subtrees.pop(), found), at >> 1
        self._subtrees.append(found)
        self.size += 1 << height
