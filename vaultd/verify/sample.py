"""Which files are read: all, a stratified sample, what changed since a moment, or the daily share.

A sample has a share of every layer: files that are new, large, old, and the others. In each the folders come in an
order that the seed gives, and whole folders are taken until the share is reached: a hundred small files of one folder
cost one start of restic, of a hundred folders a hundred.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from vaultd.names import parent
from vaultd.verify.expect import Part
from vaultd.verify.kept import Kept
from vaultd.verify.result import Asked, Kind
from vaultd.verify.rows import UNSEEN, WANTED

LARGE = 64 << 20
TENTH = 10


@dataclass(slots=True)
class _Layer:
    files: int = 0
    size: int = 0
    folders: dict[bytes, list[tuple[bytes, int]]] = field(default_factory=dict)

    def add(self, path: bytes, size: int) -> None:
        self.files += 1
        self.size += size
        self.folders.setdefault(parent(path), []).append((path, size))


def choose(part: Part, asked: Asked, kept: Kept | None) -> None:
    """Mark the rows of a snapshot that are to be read."""
    rows = part.rows
    if asked.kind is Kind.FULL:
        rows.want_all()
    elif asked.kind is Kind.CHANGED:
        since = asked.since or 0
        rows.set(WANTED, [row.path for row, state in rows.all() if state == UNSEEN and (row.mtime or 0) >= since])
    elif asked.kind is Kind.SAMPLE:
        found = [(row.path, row.size, row.mtime or 0) for row, state in rows.all()]
        wanted = set(sampled(found, asked.share, asked.seed))
        rows.set(WANTED, [row.path for row, state in rows.all() if state == UNSEEN and row.path in wanted])
    elif kept is not None:
        rows.set(WANTED, kept.turn(asked))


def sampled(files: Sequence[tuple[bytes, int, int]], share: float, seed: int) -> list[bytes]:
    """Paths of a sample of files (path, size, mtime): at least one of every layer, and of each so many files that they
    are the share of its files and of its bytes."""
    times = sorted(mtime for _path, _size, mtime in files)
    if not times:
        return []
    old, new = times[len(times) // TENTH], times[-1 - len(times) // TENTH]
    layers = {name: _Layer() for name in ("large", "new", "old", "other")}
    for path, size, mtime in files:
        name = "large" if size >= LARGE else "new" if mtime >= new else "old" if mtime <= old else "other"
        layers[name].add(path, size)
    found = list[bytes]()
    for name, layer in layers.items():
        found += _of_layer(name, layer, share, seed)
    return found


def _of_layer(name: str, layer: _Layer, share: float, seed: int) -> list[bytes]:
    found, size = list[bytes](), 0

    def order(text: bytes) -> bytes:
        return hashlib.sha256(b"%d %s %s" % (seed, name.encode(), text)).digest()

    for folder in sorted(layer.folders, key=order):
        for path, one in sorted(layer.folders[folder], key=lambda pair: order(pair[0])):
            if found and len(found) >= share * layer.files and size >= share * layer.size:
                return found
            found.append(path)
            size += one
    return found
