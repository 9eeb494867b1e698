"""A log's folder, read: checkpoints, tiles, entries, the hash of any complete subtree.

Reads what a tree of a given size needs and nothing else. A partial tile may be gone once the full one is there: then
the full one's beginning is taken. Nothing here is believed: who reads checks against a checkpoint.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from vaultd.i18n import _
from vaultd.ledger import note
from vaultd.ledger.note import Note
from vaultd.ledger.tiles import ENTRIES, HEIGHT, WIDTH, Tile, tile_at
from vaultd.ledger.tree import HASH_SIZE, complete_hash

_LENGTH = struct.Struct(">H")
CACHED_TILES = 64


class LogFolder:
    """The files of a log. Raises ValueError for one that is not what its name says, OSError where it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cached = lru_cache(CACHED_TILES)(self._hashes)

    @property
    def checkpoint_file(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoint"

    @property
    def kept(self) -> Path:
        """The folder of all checkpoints that were signed, each under its size."""
        return self.path / "checkpoints"

    def kept_file(self, size: int) -> Path:
        """Where the checkpoint of a size is kept."""
        return self.kept / str(size)

    def kept_sizes(self) -> list[int]:
        """The sizes of the checkpoints that are kept."""
        try:
            names = [entry.name for entry in self.kept.iterdir()]
        except FileNotFoundError:
            return []
        return sorted(int(name) for name in names if name.isascii() and name.isdigit() and str(int(name)) == name)

    def read_note(self, path: Path) -> Note:
        """A signed note of the folder."""
        with path.open("rb") as stream:
            return note.parse(stream.read(note.LONGEST + 1))

    def content(self, tile: Tile) -> bytes:
        """A tile's or bundle's file, or of a partial one that is gone the full one's."""
        try:
            return (self.path / tile.path).read_bytes()
        except FileNotFoundError:
            if tile.width == WIDTH:
                raise
            return (self.path / tile.full.path).read_bytes()

    def hashes(self, tile: Tile) -> bytes:
        """The row of hashes of a tile."""
        return self._cached(tile)

    def _hashes(self, tile: Tile) -> bytes:
        content = self.content(tile)
        wanted = tile.width * HASH_SIZE
        if len(content) not in (wanted, WIDTH * HASH_SIZE):
            raise ValueError(f"{tile.path}: {len(content)} bytes")
        return content[:wanted]

    def bundle(self, index: int, size: int) -> list[bytes]:
        """The entries of a bundle, as a tree of this size has them."""
        tile = tile_at(ENTRIES, index, size)
        found = list(split_bundle(self.content(tile), tile.path))
        if len(found) not in (tile.width, WIDTH):
            raise ValueError(f"{tile.path}: {len(found)} entries")
        return found[: tile.width]

    def node(self, size: int, height: int, index: int) -> bytes:
        """The hash of a complete subtree, from the tiles of a tree of this size."""
        level, rest = divmod(height, HEIGHT)
        first = index << rest
        tile = tile_at(level, first // WIDTH, size)
        begin = first % WIDTH * HASH_SIZE
        row = self.hashes(tile)[begin : begin + (HASH_SIZE << rest)]
        if len(row) != HASH_SIZE << rest:
            raise ValueError(f"{tile.path} is too short")
        return complete_hash(row)


def split_bundle(content: bytes, name: str) -> Iterator[bytes]:
    """The entries of a bundle's bytes. Raises ValueError when they do not end with an entry."""
    at = 0
    while at < len(content):
        length = int.from_bytes(content[at : at + 2], "big")
        entry = content[at + 2 : at + 2 + length]
        if at + 2 > len(content) or len(entry) != length:
            raise ValueError(_("{file} ends in the middle of an entry").format(file=name))
        yield entry
        at += 2 + length


def join_bundle(entries: list[bytes]) -> bytes:
    """A bundle's bytes."""
    parts = list[bytes]()
    for entry in entries:
        parts += (_LENGTH.pack(len(entry)), entry)
    return b"".join(parts)
