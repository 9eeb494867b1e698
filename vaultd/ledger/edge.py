"""The right edge of a log: what of each level is not a full tile yet, and the tiles that further entries make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vaultd.ledger.folder import LogFolder, join_bundle
from vaultd.ledger.tiles import ENTRIES, WIDTH, Tile, levels, tile_at, width_at
from vaultd.ledger.tree import HASH_SIZE, complete_hash, leaf_hash

_FULL = WIDTH * HASH_SIZE


@dataclass(frozen=True, slots=True)
class Edge:
    """A tree of ``size``: the entries of its partial bundle, and of each level the row of its partial tile."""

    size: int
    entries: tuple[bytes, ...]
    rows: tuple[bytes, ...]

    @classmethod
    def read(cls, folder: LogFolder, size: int) -> Edge:
        """From the files. Raises ValueError when one is not what it must be, OSError when it is gone."""
        entries = folder.bundle(size // WIDTH, size) if size % WIDTH else []
        rows = []
        for level in range(levels(size)):
            index, width = divmod(width_at(level, size), WIDTH)
            rows.append(folder.hashes(tile_at(level, index, size)) if width else b"")
        if rows and b"".join(map(leaf_hash, entries)) != rows[0]:
            raise ValueError("its last entries are not those of its last tile")
        return cls(size, tuple(entries), tuple(rows))

    def extended(self, new: Sequence[bytes]) -> tuple[Edge, list[tuple[Tile, bytes]]]:
        """The edge after further entries, and the tiles and bundles, with their content, that they make or change."""
        contents = list[tuple[Tile, bytes]]()
        size = self.size + len(new)
        entries = [*self.entries, *new]
        first = self.size // WIDTH
        for at in range(0, len(entries), WIDTH):
            part = entries[at : at + WIDTH]
            contents.append((Tile(ENTRIES, first + at // WIDTH, len(part)), join_bundle(part)))
        rows, fresh, level = list[bytes](), b"".join(map(leaf_hash, new)), 0
        while fresh or level < len(self.rows):
            row = (self.rows[level] if level < len(self.rows) else b"") + fresh
            first, above = width_at(level, self.size) // WIDTH, list[bytes]()
            for at in range(0, len(row), _FULL):
                part_row = row[at : at + _FULL]
                if fresh:
                    contents.append((Tile(level, first + at // _FULL, len(part_row) // HASH_SIZE), part_row))
                if len(part_row) == _FULL:
                    above.append(complete_hash(part_row))
            rows.append(row[len(row) // _FULL * _FULL :])
            fresh, level = b"".join(above), level + 1
        return Edge(size, tuple(entries[len(entries) // WIDTH * WIDTH :]), tuple(rows)), contents
