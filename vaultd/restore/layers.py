"""What many snapshots, one merged over the other, make of a folder: worked out from their lists, before anything is
fetched, so that of each path only the newest version has to come.

Each is decided as ``merge`` decides: files replace files, nothing goes away, and what cannot have its own name is put
beside. A snapshot is taken in as a whole or not at all.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from vaultd.names import join, parent
from vaultd.restic.contents import FILE, FOLDER, SYMLINK, Contents, Node
from vaultd.restore.engine import Source
from vaultd.restore.merge import ADDED, BESIDE, REPLACED, Action, Merge, free_name
from vaultd.restore.metadata import Metadata


class UnfitError(Exception):
    """A snapshot that is for restic to restore. ``place``: which one, where several are read together."""

    def __init__(self, place: int = -1) -> None:
        super().__init__(place)
        self.place = place


class Listing(NamedTuple):
    """One snapshot: ``top`` is the vault's own folder (None where that is the root of all), ``folders`` the entries of
    each folder by its path, in order of their names. ``suffix`` tells whose a file put beside is."""

    top: Node | None
    folders: Mapping[bytes, list[Node]]
    suffix: str


class Placed(NamedTuple):
    """What is newest at a path, and the place in the plan of the snapshot that it comes from."""

    place: int
    node: Node


@dataclass(slots=True)
class _Folder:
    """``names``: which of them are folders. ``there``: it was in the folder that is restored to before."""

    names: dict[bytes, bool]
    mtime: int
    there: bool


def listing(contents: Contents, tree: str, source: Source, suffix: str, most: int) -> Listing:
    """Read the list of a snapshot. Raises UnfitError for more entries than ``most``, and for what only restic can
    restore; DamagedError, FileNotFoundError."""
    top, at = None, bytes.fromhex(tree)
    for name in source.folder.split(b"/"):
        if name:
            top = next((node for node in contents.tree(at) if node.name == name), None)
            if top is None or top.kind != FOLDER:
                raise UnfitError
            at = top.subtree
    folders, count, waiting = dict[bytes, list[Node]](), 0, [(b"", at)]
    while waiting:
        folder, at = waiting.pop()
        nodes = sorted(contents.tree(at))
        count += len(nodes)
        if count > most or any(node.kind not in (FILE, FOLDER, SYMLINK) for node in nodes):
            raise UnfitError
        folders[folder] = nodes
        waiting += [(_below(folder, node.name), node.subtree) for node in nodes if node.kind == FOLDER]
    return Listing(top, folders, suffix)


def _below(folder: bytes, name: bytes) -> bytes:
    return join(folder, name) if folder else name


def metadata_of(node: Node) -> Metadata:
    """A node's metadata."""
    return Metadata(node.mode, node.uid, node.gid, node.mtime, node.xattrs)


@dataclass(slots=True)
class Layers:
    """The folder ``to`` as it is, and what comes over it. ``hide`` and ``root_mtime`` as in ``merge.decide``.

    ``reports``: what each snapshot did, by its place; ``placed``: what is newest at each path; ``top``: the folder's
    own metadata, from the newest snapshot that has it. Raises OSError where ``to`` cannot be read.
    """

    to: bytes
    root_mtime: int | None
    hide: bytes
    reports: dict[int, Merge] = field(default_factory=dict)
    placed: dict[bytes, Placed] = field(default_factory=dict)
    top: Metadata | None = None
    _folders: dict[bytes, _Folder] = field(default_factory=dict)
    _named: set[bytes] = field(default_factory=set)
    _names: Counter[tuple[int, ...]] = field(default_factory=Counter)
    _replaced: list[tuple[int, ...]] = field(default_factory=list)

    def add(self, place: int, found: Listing) -> None:
        """Put a snapshot over all before."""
        report = self.reports[place] = Merge()
        waiting = [(b"", found.top)]
        while waiting:
            path, own = waiting.pop()
            folder = self._folder(path)
            older = set(folder.names)
            for node in found.folders[path]:
                if self._one(report, place, found, path, node):
                    waiting.append((_below(path, node.name), node))
            if own is None:
                continue
            if self.root_mtime is not None and folder.mtime != own.mtime:
                older -= {node.name for node in found.folders[path]}
                # Named once: it is the same list for all of them.
                named = {_below(path, name) for name in older} - self._named
                report.reappeared += sorted(named)
                self._named |= named
            folder.mtime = own.mtime
            if path:
                self.placed[path] = Placed(place, own)
            else:
                self.top = metadata_of(own)
        self._names.subtract(self._replaced)  # now: all are counted as they were before it
        self._replaced.clear()

    def merge(self) -> Merge:
        """What puts all of it in place, when what is newest has been written to a stage, each under its own path."""
        merge = Merge()
        for path in sorted(self.placed):
            if path in self._folders and self._folders[path].there:
                merge.folders[path] = metadata_of(self.placed[path].node)
            elif self._folders[parent(path)].there:
                merge.actions.append(Action(ADDED, path, path))
        return merge

    def _folder(self, path: bytes) -> _Folder:
        """A folder as it is with all layers so far."""
        found = self._folders.get(path)
        if found is None:
            with os.scandir(join(self.to, path)) as entries:
                names = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
            if not path:
                names.pop(self.hide, None)
            mtime = os.lstat(join(self.to, path)).st_mtime_ns if path else self.root_mtime or 0
            found = self._folders[path] = _Folder(names, mtime, True)
        return found

    def _one(self, report: Merge, place: int, found: Listing, above: bytes, node: Node) -> bool:
        """Decide one name; True: it is a folder on both sides, to be looked into."""
        names, path = self._folders[above].names, _below(above, node.name)
        if node.name not in names:
            report.actions.append(Action(ADDED, path, path, self._place(place, found, path, path, node)))
        elif names[node.name] != (node.kind == FOLDER):
            other = _below(above, free_name(node.name, found.suffix, names))
            report.actions.append(Action(BESIDE, path, other, self._place(place, found, path, other, node)))
        elif node.kind != FOLDER:
            links = self._replace(path)
            report.actions.append(Action(REPLACED, path, path, self._place(place, found, path, path, node), links))
        else:
            return True
        return False

    def _place(self, place: int, found: Listing, source: bytes, path: bytes, node: Node) -> int:
        """Put a name with all below where nothing is; how many files these are."""
        files, waiting = 0, [(source, path, node)]
        while waiting:
            source, path, node = waiting.pop()
            self.placed[path] = Placed(place, node)
            self._folders[parent(path)].names[os.path.basename(path)] = node.kind == FOLDER
            if node.kind == FOLDER:
                self._folders[path] = _Folder({}, node.mtime, False)
                waiting += [
                    (join(source, one.name), join(path, one.name), one) for one in found.folders[source]
                ]  # fmt: skip
            else:
                files += 1
                if node.group is not None:
                    self._names[(place, *node.group)] += 1
        return files

    def _replace(self, path: bytes) -> int:
        """Take a file away; how many other names it has."""
        before = self.placed.get(path)
        if before is None:
            status = os.lstat(join(self.to, path))
            if status.st_nlink == 1:
                return 0
            key, names = (-1, status.st_dev, status.st_ino), status.st_nlink
        elif before.node.group is None:
            return 0
        else:
            key, names = (before.place, *before.node.group), 0
        self._replaced.append(key)
        return names + self._names[key] - 1
