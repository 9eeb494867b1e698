"""The signed tree: every entry, every tile that follows from them, every checkpoint on the way, in one pass."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence

from vaultd.ledger.entry import LONGEST
from vaultd.ledger.epochs import Keys
from vaultd.ledger.events import KeyRotated
from vaultd.ledger.folder import split_bundle
from vaultd.ledger.tiles import ENTRIES, WIDTH, Tile, tile_at
from vaultd.ledger.tree import HASH_SIZE, leaf_hash
from vaultd.ledger.verify.finding import Code, Finding
from vaultd.ledger.verify.growing import FULL, Growing
from vaultd.ledger.verify.reading import Reader
from vaultd.ledger.verify.rules import Rules, decoded
from vaultd.ledger.verify.signed import read_kept

Progress = Callable[[int, int], None]
Outside = Mapping[int, Sequence[tuple[int, bytes]]]

LARGEST_BUNDLE = WIDTH * (LONGEST + 2)


class SignedTree:
    """The first ``size`` entries, which hold. ``entries`` are those of the last bundle, if that is partial."""

    def __init__(self, reader: Reader, origin: str) -> None:
        self.reader = reader
        self.rules = Rules(origin)
        self.growing = Growing()
        self.entries: list[bytes] = []

    @property
    def size(self) -> int:
        """How many entries hold."""
        return self.growing.size

    def read_to(self, size: int, kept: Sequence[int], keys: Keys, outside: Outside, progress: Progress) -> None:
        """Go on up to a size, one of those that are ``kept``. Raise Finding for the first thing that does not hold."""
        stops = sorted({*kept, *outside})
        stops = stops[bisect_right(stops, self.size) :]
        at = 0
        for index in range(self.size // WIDTH, -(-size // WIDTH)):
            tile = tile_at(ENTRIES, index, size)
            entries = bundle(self.reader, tile)
            row = b"".join(map(leaf_hash, entries))
            compare(Tile(0, index, tile.width), row, hashes(self.reader, Tile(0, index, tile.width)))
            if entries[: len(self.entries)] != self.entries:
                raise Finding(Code.BUNDLE, tile.path)
            end = index * WIDTH + tile.width
            while self.size < end:
                stop = stops[at] if at < len(stops) else end
                self._add(entries, row, index * WIDTH, min(stop, end))
                if self.size == stop and at < len(stops):
                    at += 1
                    self._stop(stop, kept, keys, outside)
            self.entries = entries if tile.width < WIDTH else []
            progress(end, size)
        for tile, row in self.growing.edge():
            compare(tile, row, hashes(self.reader, tile))

    def _add(self, entries: Sequence[bytes], row: bytes, first: int, end: int) -> None:
        begin = self.size
        self.rules.check(begin, entries[begin - first : end - first])
        for tile, content in self.growing.add(row[(begin - first) * HASH_SIZE : (end - first) * HASH_SIZE]):
            if tile.level:
                compare(tile, content, hashes(self.reader, tile))

    def _stop(self, size: int, kept: Sequence[int], keys: Keys, outside: Outside) -> None:
        root = self.growing.root()
        for number, said in outside.get(size, ()):
            if said != root:
                raise Finding(Code.OUTSIDE_DIFFERS, outside=number)
        at = bisect_right(kept, size)
        if at and kept[at - 1] == size:
            signed = read_kept(self.reader, keys, size)
            if signed.checkpoint.root != root:
                raise Finding(Code.CHECKPOINT_ROOT, f"checkpoints/{size}")
            self.rules.sealed(signed)

    def check_keys(self, keys: Keys, further: Sequence[bytes]) -> None:
        """Raise Finding unless the entry before each epoch announces it; ``further`` entries are not signed yet."""
        for epoch in keys.epochs[1:]:
            index = epoch.first - 1
            if index >= self.size + len(further):
                raise Finding(Code.KEY_ENTRY, f"keys/{epoch.number}")
            if index >= self.size:
                encoded = further[index - self.size]
            else:
                encoded = bundle(self.reader, tile_at(ENTRIES, index // WIDTH, self.size))[index % WIDTH]
            found = decoded(index, encoded)
            if (found["type"], found.get("epoch"), found.get("key")) != (
                KeyRotated.TYPE, epoch.number, epoch.key.encoded(),
            ):  # fmt: skip
                raise Finding(Code.KEY_ENTRY, f"keys/{epoch.number}", entry=index)


def bundle(reader: Reader, tile: Tile) -> list[bytes]:
    """The entries of a bundle; of a partial one that is gone the beginning of the full one."""
    content = reader.find(tile.path, LARGEST_BUNDLE)
    found = tile
    if content is None and tile.width < WIDTH:
        found = tile.full
        content = reader.find(found.path, LARGEST_BUNDLE)
    if content is None:
        raise Finding(Code.MISSING, tile.path)
    return _split(content, found)[: tile.width]


def _split(content: bytes, tile: Tile) -> list[bytes]:
    try:
        entries = list(split_bundle(content, tile.path))
    except ValueError as error:
        raise Finding(Code.BUNDLE, tile.path, why=str(error)) from None
    if len(entries) != tile.width:
        raise Finding(Code.BUNDLE, tile.path, why=str(len(entries)))
    return entries


def hashes(reader: Reader, tile: Tile) -> bytes:
    """The row of hashes of a tile; of a partial one that is gone the beginning of the full one's."""
    content = reader.find(tile.path, FULL)
    wanted = tile.width * HASH_SIZE
    if content is None and tile.width < WIDTH:
        content = reader.find(tile.full.path, FULL)
        if content is not None and len(content) == FULL:
            content = content[:wanted]
    if content is None:
        raise Finding(Code.MISSING, tile.path)
    if len(content) != wanted:
        raise Finding(Code.TILE, tile.path, why=str(len(content)))
    return content


def compare(tile: Tile, wanted: bytes, found: bytes) -> None:
    """Raise Finding for the first hash of a tile that is not the one it must be."""
    if wanted != found:
        at = next(
            at for at in range(0, len(wanted), HASH_SIZE) if wanted[at : at + HASH_SIZE] != found[at : at + HASH_SIZE]
        )
        index = tile.index * WIDTH + at // HASH_SIZE
        raise Finding(Code.TILE, tile.path, entry=None if tile.level else index)
