"""What is read in which pieces: whole folders as one archive, or single files.

Every start of restic costs the better part of a second, and an archive of a folder has all below it, wanted or not. So
a folder is read as a whole where that is cheaper than its parts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from vaultd.names import join, parent
from vaultd.verify.rows import WANTED, Row, Rows

START_SECONDS = 0.8
"""A start of restic: key, index, ssh. Measured over SFTP on loopback."""

BYTES_A_SECOND = 200e6
FILES_A_SECOND = 15_000.0


@dataclass(frozen=True, slots=True)
class Piece:
    """One run of restic: a folder with all below it, or one file (relative to the vault). ``files`` and ``size`` are
    what is wanted of it; ``read`` the bytes that come."""

    path: bytes
    is_file: bool
    files: int
    size: int
    read: int


@dataclass(slots=True)
class _Folder:
    files: int = 0
    size: int = 0
    wanted: int = 0
    wanted_size: int = 0
    single: list[tuple[bytes, int]] = field(default_factory=list)
    cost: float = 0.0
    pieces: list[Piece] = field(default_factory=list)

    def add(self, other: _Folder) -> None:
        self.files += other.files
        self.size += other.size
        self.wanted += other.wanted
        self.wanted_size += other.wanted_size
        self.cost += other.cost
        self.pieces += other.pieces


def seconds(files: int, size: int) -> float:
    """What one run of restic may take."""
    return START_SECONDS + size / BYTES_A_SECOND + files / FILES_A_SECOND


def pieces(rows: Rows) -> list[Piece]:
    """The runs that read all rows that are wanted, at the least cost, in order of their paths."""
    files, size = rows.totals()
    wanted, _size = rows.totals(WANTED)
    if wanted == files:  # the usual case, and quick: everything
        return [Piece(b"", False, files, size, size)] if files else []
    return _cheapest(rows.all()) if wanted else []


def _cheapest(rows: Iterable[tuple[Row, int]]) -> list[Piece]:
    folders = {b"": _Folder()}
    for row, state in rows:
        where = parent(row.path)
        folder = folders.get(where)
        if folder is None:
            folder = folders[where] = _Folder()
            above = where
            while above:
                above = parent(above)
                folders.setdefault(above, _Folder())
        folder.files += 1
        folder.size += row.size
        if state == WANTED:
            folder.wanted += 1
            folder.wanted_size += row.size
            folder.single.append((row.path, row.size))
    for where in sorted(folders, key=lambda path: path.count(b"/") if path else -1, reverse=True):
        folder = folders[where]
        split = folder.cost + sum(seconds(1, size) for _path, size in folder.single)
        whole = seconds(folder.files, folder.size)
        if folder.wanted and whole <= split:
            piece = Piece(where, False, folder.wanted, folder.wanted_size, folder.size)
            folder.cost, folder.pieces = whole, [piece]
        else:
            folder.cost = split
            folder.pieces += [Piece(path, True, 1, size, size) for path, size in folder.single]
        if where:
            folders[parent(where)].add(folder)
    return sorted(folders[b""].pieces, key=lambda piece: piece.path)


def absolute(root: bytes, folder: bytes) -> bytes:
    """The path in a snapshot of a folder that is relative to the vault."""
    return join(root, folder)
