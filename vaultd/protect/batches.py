"""The first protection in pieces: whole sub-folders, each of about so many bytes and files, in order of their names.

A batch is an express snapshot that names folders (restic recurses into them) and, where a folder is too large for one
batch, single files. Every finished batch is off-site and restorable by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

BATCH_FILES = 100_000
"""However small the files: what one batch may lose, and what is held in memory."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Folders taken whole, and folders of which only the files directly in them are meant (relative paths)."""

    whole: tuple[bytes, ...]
    direct: tuple[bytes, ...]
    files: int
    total: int

    def covers(self, path: bytes) -> bool:
        """Whether a file's path is in this batch."""
        folder = path.rpartition(b"/")[0]
        if folder in self.direct:
            return True
        return any(not root or folder == root or folder.startswith(root + b"/") for root in self.whole)


@dataclass(slots=True)
class _Node:
    files: int = 0
    total: int = 0
    all_files: int = 0
    all_total: int = 0
    children: dict[bytes, _Node] = field(default_factory=dict)


def first_batch(
    folders: Iterable[tuple[bytes, int, int]], most_bytes: int, most_files: int = BATCH_FILES
) -> Batch | None:
    """The next batch of what is left: ``folders`` are (path, files, bytes) of unsafe content directly in each.

    None when nothing is left. A single folder's own files are never split here: see ``changeset`` for those.
    """
    root = _Node()
    for path, files, total in folders:
        node = root
        node.all_files += files
        node.all_total += total
        for part in path.split(b"/") if path else ():
            node = node.children.setdefault(part, _Node())
            node.all_files += files
            node.all_total += total
        node.files += files
        node.total += total
    if not root.all_files:
        return None
    if root.all_total <= most_bytes and root.all_files <= most_files:
        return Batch((b"",), (), root.all_files, root.all_total)
    taken = _Taken(most_bytes, most_files)
    _fill(root, b"", taken)
    return Batch(tuple(taken.whole), tuple(taken.direct), taken.files, taken.total)


@dataclass(slots=True)
class _Taken:
    most_bytes: int
    most_files: int
    whole: list[bytes] = field(default_factory=list)
    direct: list[bytes] = field(default_factory=list)
    files: int = 0
    total: int = 0

    def fits(self, files: int, total: int) -> bool:
        return not self.files or (self.files + files <= self.most_files and self.total + total <= self.most_bytes)

    def add(self, files: int, total: int) -> None:
        self.files += files
        self.total += total


def _fill(node: _Node, path: bytes, taken: _Taken) -> bool:
    """Add what fits below ``path``, in order; False when the batch is full."""
    if node.files:
        if not taken.fits(node.files, node.total):
            return False
        taken.direct.append(path)
        taken.add(node.files, node.total)
    for name, child in sorted(node.children.items()):
        below = path + b"/" + name if path else name
        within = child.all_files <= taken.most_files and child.all_total <= taken.most_bytes
        if within and taken.fits(child.all_files, child.all_total):
            taken.whole.append(below)
            taken.add(child.all_files, child.all_total)
        elif not _fill(child, below, taken) or (not within and taken.files >= taken.most_files):
            return False
    return True
