"""Where the tree lies on disk: the tiles and entry bundles of C2SP tlog-tiles, as files below the log's folder.

Tile (level, index) is the row of hashes of the complete subtrees of height 8 * level, from index * 256 on; a full one
has 256 of them. Entry bundles follow the same numbers as level 0. What is at the right edge is partial, and has its
width in its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

WIDTH = 256
HEIGHT = 8
ENTRIES = -1
"""The "level" of the entry bundles."""


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """A tile, or an entry bundle (``level`` is ENTRIES). ``width`` is 256 when it is full."""

    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Below the log's folder: ``tile/0/x001/x234/067`` or ``tile/entries/000.p/17``."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{_number(self.index)}{partial}"

    @property
    def full(self) -> Tile:
        """The same place, full."""
        return Tile(self.level, self.index)


def _number(index: int) -> str:
    parts = [f"{index % 1000:03d}"]
    while index := index // 1000:
        parts.append(f"x{index % 1000:03d}")
    return "/".join(reversed(parts))


def levels(size: int) -> int:
    """How many levels of tiles a tree of this size has."""
    count = 0
    while size >> HEIGHT * count:
        count += 1
    return count


def width_at(level: int, size: int) -> int:
    """How many complete subtrees of a level's height a tree of this size has."""
    return size >> HEIGHT * max(level, 0)


def tile_at(level: int, index: int, size: int) -> Tile:
    """The tile as a tree of this size has it, full or partial. Raises ValueError when it has none there."""
    width = min(WIDTH, width_at(level, size) - index * WIDTH)
    if width <= 0:
        raise ValueError(f"a tree of {size} has no tile {index} at level {level}")
    return Tile(level, index, width)


def tiles_of(size: int, since: int = 0) -> Iterator[Tile]:
    """Every tile and bundle of a tree of this size that one of size ``since`` does not have, from the entries up."""
    for level in (ENTRIES, *range(levels(size))):
        old, new = width_at(level, since), width_at(level, size)
        if old == new:
            continue
        for index in range(old // WIDTH, -(-new // WIDTH)):
            yield tile_at(level, index, size)
