"""What a writer looks at when it opens a log: what was signed, what is on record beyond it, what a crash left over."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from vaultd.ledger import checkpoint, entry, note, tree, wal
from vaultd.ledger.checkpoint import Checkpoint
from vaultd.ledger.epochs import Keys
from vaultd.ledger.folder import LogFolder, split_bundle
from vaultd.ledger.tiles import ENTRIES, WIDTH, Tile, width_at
from vaultd.ledger.tree import HASH_SIZE, leaf_hash


def newest_signed(folder: LogFolder, keys: Keys, *, new: bool) -> tuple[Checkpoint, bytes]:
    """The newest checkpoint that is kept, and its note. A log that is just being made (``new``) has none.

    Raises ValueError when it is not signed by the key of its epoch, or is gone.
    """
    sizes = folder.kept_sizes()
    if not sizes:
        if not new or folder.checkpoint_file.exists():
            raise ValueError("no checkpoint is kept")
        return Checkpoint(keys.origin, 0, tree.EMPTY), b""
    kept = folder.read_note(folder.kept_file(sizes[-1]))
    found = checkpoint.parse(kept.text)
    if found.size != sizes[-1] or found.origin != keys.origin:
        raise ValueError(f"checkpoints/{sizes[-1]} is another checkpoint")
    note.verify(kept, [keys.at(found.size).key])
    with contextlib.suppress(FileNotFoundError):
        shown = checkpoint.parse(folder.read_note(folder.checkpoint_file).text)
        if shown.size > found.size:
            raise ValueError(f"checkpoints/{shown.size} is gone")
    return found, kept.encoded()


def tail(folder: LogFolder, size: int, waiting: Path) -> tuple[list[bytes], int]:
    """The entries on record beyond the signed ``size``, and how many bytes of the write-ahead files tell nothing.

    Where both copies are damaged, tiles that were made and not signed may still have entries.
    """
    entries, lost = list[bytes](), 0
    for start in wal.starts(waiting):
        if start > size:
            raise ValueError(f"{size} entries are signed, and the next one on record is {start}")
        found, after = wal.read(waiting, start)
        if len(found) - (size - start) >= len(entries):
            entries, lost = found[size - start :], after
    for made in _unsigned_bundles(folder, size + len(entries)):
        entries += made
    return entries, lost


def _unsigned_bundles(folder: LogFolder, size: int) -> Iterator[list[bytes]]:
    """Entries from ``size`` on in bundles whose tile says the same."""
    while True:
        index, have = divmod(size, WIDTH)
        widths = [WIDTH] if (folder.path / Tile(ENTRIES, index).path).exists() else []
        widths += sorted(_partial_widths(folder, ENTRIES, index), reverse=True)
        for width in filter(lambda one: one > have, widths):
            with contextlib.suppress(OSError, ValueError):
                entries = list(split_bundle(folder.content(Tile(ENTRIES, index, width)), ""))[:width]
                hashes = folder.hashes(Tile(0, index, width))
                if len(entries) == width and b"".join(map(leaf_hash, entries)) == hashes:
                    break
        else:
            return
        yield entries[have:]
        size += len(entries) - have


def _partial_widths(folder: LogFolder, level: int, index: int) -> list[int]:
    where = (folder.path / Tile(level, index, 1).path).parent
    try:
        return [int(path.name) for path in where.iterdir() if path.name.isdigit()]
    except FileNotFoundError:
        return []


def last_time(folder: LogFolder, size: int, entries: list[bytes]) -> str:
    """The time of the newest entry on record, empty when there is none."""
    if not entries and size:
        entries = folder.bundle((size - 1) // WIDTH, size)
    return str(entry.decode(entries[-1])["t"]) if entries else ""


def remove_unsigned(folder: LogFolder, size: int) -> None:
    """Remove tiles and bundles beyond the signed size: they are made again, and must not be in the way then."""
    found = list[Path]()
    for level in range(ENTRIES, HASH_SIZE):
        before = len(found)
        index, width = divmod(width_at(level, size), WIDTH)
        while True:
            here = [Tile(level, index, one) for one in sorted(_partial_widths(folder, level, index)) if one > width]
            if (folder.path / Tile(level, index).path).exists():
                here.append(Tile(level, index))
            if not here:
                break
            found += [folder.path / tile.path for tile in here]
            index, width = index + 1, 0
        if level >= 0 and not width_at(level, size) and len(found) == before:
            break
    for path in reversed(found):  # as they were made, but from the end: when this is interrupted, no gap hides the rest
        path.unlink()


def remove_covered(folder: LogFolder, before: int, size: int) -> None:
    """Remove the partial tiles whose full ones have been made since ``before``."""
    for level in range(ENTRIES, HASH_SIZE):
        for index in range(width_at(level, before) // WIDTH, width_at(level, size) // WIDTH):
            where = (folder.path / Tile(level, index, 1).path).parent
            if where.is_dir() and (folder.path / Tile(level, index).path).is_file():
                remove_tree(where)
        if level >= 0 and not width_at(level, size):
            return


def remove_tree(path: Path) -> None:
    """Remove a folder with all in it, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)
