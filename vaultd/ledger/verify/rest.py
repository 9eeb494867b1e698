"""What else is in the folder: partial tiles of older sizes, and beyond the signed size what a crash, or a writer that
is at work, has made already."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence

from vaultd.ledger.epochs import Keys
from vaultd.ledger.folder import join_bundle
from vaultd.ledger.tiles import ENTRIES, HEIGHT, WIDTH, Tile, levels, width_at
from vaultd.ledger.tree import HASH_SIZE, leaf_hash
from vaultd.ledger.verify import there
from vaultd.ledger.verify.finding import Code, Finding
from vaultd.ledger.verify.growing import FULL
from vaultd.ledger.verify.reading import Reader
from vaultd.ledger.verify.signed import read_kept
from vaultd.ledger.verify.tree import LARGEST_BUNDLE, SignedTree, bundle, hashes
from vaultd.ledger.verify.waiting import unsigned

MOST_BEYOND = 100_000


def check(reader: Reader, tree: SignedTree, kept: Sequence[int], keys: Keys) -> int:
    """How many entries are on record that are not signed. Raises Finding for what does not belong to the log.

    The names first, then the write-ahead files: those have every entry of a tile before the tile is made.
    """
    there.top(reader)
    newer = [size for size in kept if size > tree.size]
    edge, beyond = set[Tile](), list[Tile]()
    for tile in there.tiles(reader):
        have = width_at(tile.level, tree.size)
        if tile.index * WIDTH + tile.width > have:
            beyond.append(tile)
            if len(beyond) > MOST_BEYOND:
                raise Finding(Code.EXTRA, tile.path)
        elif tile.width < WIDTH:
            _check_partial(reader, tree, kept, tile)
            if tile.index == have // WIDTH:
                edge.add(tile)
    _check_edge(tree, kept, edge, beyond)
    waiting = unsigned(reader, tree)
    tree.check_keys(keys, waiting)
    _check_beyond(reader, tree, waiting, beyond)
    _check_newer(reader, tree, waiting, newer, keys)
    return len(waiting)


def _signed_width(kept: Sequence[int], tile: Tile) -> bool:
    """Whether a partial tile is one of a size that was signed."""
    height = HEIGHT * max(tile.level, 0)
    first = tile.index * WIDTH + tile.width << height
    at = bisect_left(kept, first)
    return at < len(kept) and kept[at] < first + (1 << height)


def _check_edge(tree: SignedTree, kept: Sequence[int], edge: Collection[Tile], beyond: Collection[Tile]) -> None:
    """The partial tiles of every signed size are there, unless the full one is."""
    for level in range(ENTRIES, levels(tree.size)):
        index, width = divmod(width_at(level, tree.size), WIDTH)
        for one in range(1, width + 1):
            tile = Tile(level, index, one)
            if tile not in edge and tile.full not in beyond and _signed_width(kept, tile):
                raise Finding(Code.MISSING, tile.path)


def _check_partial(reader: Reader, tree: SignedTree, kept: Sequence[int], tile: Tile) -> None:
    """A partial tile of the signed tree: a size that was signed had it, and it is how the one of now begins."""
    content = reader.find(tile.path, LARGEST_BUNDLE if tile.level == ENTRIES else FULL)
    if content is None:
        return  # the writer has just removed it
    if not _signed_width(kept, tile):
        raise Finding(Code.EXTRA, tile.path)
    now = Tile(tile.level, tile.index, min(WIDTH, width_at(tile.level, tree.size) - tile.index * WIDTH))
    if tile.level == ENTRIES:
        if content != join_bundle(bundle(reader, now)[: tile.width]):
            raise Finding(Code.BUNDLE, tile.path)
    elif content != hashes(reader, now)[: tile.width * HASH_SIZE]:
        raise Finding(Code.TILE, tile.path)


def _check_beyond(reader: Reader, tree: SignedTree, waiting: Sequence[bytes], beyond: Sequence[Tile]) -> None:
    """Tiles that are not signed must be those that the unsigned entries make."""
    if not beyond:
        return
    growing = tree.growing.copy()
    rows, bundles = dict[tuple[int, int], bytes](), dict[int, list[bytes]]()
    entries, at = [*tree.entries, *waiting], 0
    for begin in range(0, len(entries), WIDTH):
        part = entries[begin : begin + WIDTH]
        bundles[tree.size // WIDTH + begin // WIDTH] = part
        at = len(tree.entries) if not begin else 0
        rows.update(((tile.level, tile.index), row) for tile, row in growing.add(b"".join(map(leaf_hash, part[at:]))))
    rows.update(((tile.level, tile.index), row) for tile, row in growing.edge())
    for tile in beyond:
        content = reader.find(tile.path, LARGEST_BUNDLE if tile.level == ENTRIES else FULL)
        if content is None:
            continue  # a writer that starts removes what is not signed, and makes it again
        if tile.level == ENTRIES:
            part = bundles.get(tile.index, [])[: tile.width]
            wanted = join_bundle(part) if len(part) == tile.width else None
        else:
            row = rows.get((tile.level, tile.index), b"")[: tile.width * HASH_SIZE]
            wanted = row if len(row) == tile.width * HASH_SIZE else None
        if content != wanted:
            raise Finding(Code.UNSIGNED, tile.path)


def _check_newer(
    reader: Reader, tree: SignedTree, waiting: Sequence[bytes], newer: Sequence[int], keys: Keys
) -> None:  # fmt: skip
    """A checkpoint that is kept and not yet in ``checkpoint``: a crash between the two. There is one at most, and its
    entries are still in the write-ahead files."""
    for size in newer[1:] or [one for one in newer if one > tree.size + len(waiting)]:
        raise Finding(Code.CHECKPOINT_NEWEST, "checkpoint", why=f"checkpoints/{size}")
    for size in newer:
        signed = read_kept(reader, keys, size)
        growing = tree.growing.copy()
        for encoded in waiting[: size - tree.size]:
            for _made in growing.add(leaf_hash(encoded)):
                pass
        if signed.checkpoint.root != growing.root():
            raise Finding(Code.CHECKPOINT_ROOT, f"checkpoints/{size}")
