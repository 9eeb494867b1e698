"""Write what is newest of many snapshots to a stage: each pack is fetched once, each file written once.

As a restore by restic does it: with owner, mode, times, attributes and holes; of a group of hard links those that are
written are linked. Every piece has the SHA-256 that its id says. The stage is a new private folder, so nothing can be
in the way, and no link can lead out of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vaultd.names import display, join
from vaultd.restic.blobs import Blob
from vaultd.restic.contents import FOLDER, SYMLINK, Contents, size_of
from vaultd.restore import metadata
from vaultd.restore.engine import Problem
from vaultd.restore.layers import Placed, UnfitError, metadata_of

_ID = 32
_HOLE = 4096
"""A run of zeros of this length, at a multiple of it, is left out."""

_ZEROS = bytes(_HOLE)


@dataclass(slots=True)
class Stage:
    """Writes to the empty folder ``folder``. ``tell`` gets how many files and bytes have come since the last time.

    ``keep``: folders whose metadata is not the stage's to give (they are in place already).
    """

    folder: bytes
    contents: Contents
    keep: Mapping[bytes, object]
    tell: Callable[[int, int], None] = lambda _files, _bytes: None
    problems: list[Problem] = field(default_factory=list)
    _left: dict[bytes, int] = field(default_factory=dict)

    def write(self, placed: Mapping[bytes, Placed]) -> None:
        """Write it all. Raises UnfitError with the place of the first snapshot that cannot be read whole or as restic
        reads it; OSError where it cannot be written."""
        folders = [path for path in sorted(placed) if placed[path].node.kind == FOLDER]
        for path in folders:
            os.mkdir(join(self.folder, path), 0o700)
        links = self._hard_links(placed)
        self._files({path: one for path, one in placed.items() if one.node.kind != FOLDER and path not in links})
        for path, first in links.items():
            os.link(join(self.folder, first), join(self.folder, path), follow_symlinks=False)
            self.tell(1, 0)
        # From below: what is in a folder changes its time.
        for path in reversed(folders):
            if path not in self.keep:
                self._note(path, metadata.write(join(self.folder, path), metadata_of(placed[path].node)))
            self.tell(1, 0)

    def _note(self, path: bytes, texts: list[str]) -> None:
        self.problems += [Problem(display(path), text) for text in texts]

    def _hard_links(self, placed: Mapping[bytes, Placed]) -> dict[bytes, bytes]:
        """The names that are links to another one."""
        first, links = dict[tuple[int, ...], bytes](), dict[bytes, bytes]()
        for path in sorted(placed):
            place, node = placed[path]
            if node.group is not None:
                other = first.setdefault((place, *node.group), path)
                if other != path:
                    if placed[other].node.content != node.content:
                        raise UnfitError(place)
                    links[path] = other
        return links

    def _files(self, files: Mapping[bytes, Placed]) -> None:
        ids = {one.node.content[at : at + _ID]: one.place for one in files.values() for at in _places(one)}
        known = self.contents.find(list(ids))
        packs = dict[str, dict[Blob, list[tuple[bytes, int]]]]()
        for path, one in files.items():
            offset = 0
            for at in _places(one):
                blob = known.get(one.node.content[at : at + _ID])
                if blob is None:
                    raise UnfitError(one.place)
                packs.setdefault(blob.pack, {}).setdefault(blob, []).append((path, offset))
                offset += size_of(blob)
            if offset != one.node.size and one.node.kind != SYMLINK:
                raise UnfitError(one.place)
            if one.node.content:
                self._left[path] = len(one.node.content) // _ID
            else:
                self._empty(path, one)
        for wanted in packs.values():
            for blob, content in self.contents.pieces(list(wanted)):
                if content is None:
                    raise UnfitError(min(files[path].place for path, _offset in wanted[blob]))
                for path, offset in wanted[blob]:
                    self._piece(path, files[path], offset, content)

    def _empty(self, path: bytes, one: Placed) -> None:
        if one.node.kind == SYMLINK:
            os.symlink(one.node.target, join(self.folder, path))
            self._note(path, metadata.give_link(join(self.folder, path), metadata_of(one.node)))
            self.tell(1, 0)
        else:
            self._left[path] = 1
            self._piece(path, one, 0, b"")

    def _piece(self, path: bytes, one: Placed, offset: int, content: bytes) -> None:
        """Write a piece of a file; the last one that comes ends it."""
        handle = os.open(
            join(self.folder, path), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )  # fmt: skip
        try:
            _write(handle, offset, content)
            self._left[path] -= 1
            if not self._left[path]:
                os.ftruncate(handle, one.node.size)
                self._note(path, metadata.give(handle, metadata_of(one.node)))
        finally:
            os.close(handle)
        self.tell(0 if self._left[path] else 1, len(content))


def _places(one: Placed) -> range:
    return range(0, len(one.node.content), _ID)


def _write(handle: int, offset: int, content: bytes) -> None:
    if _ZEROS not in content:
        _write_all(handle, offset, content)
        return
    end = offset + len(content)
    at = offset
    while at < end:
        # Up to the next multiple of a block, so that whole ones are seen as such.
        step = min(_HOLE - at % _HOLE, end - at)
        part = content[at - offset : at - offset + step]
        if part != _ZEROS[:step]:
            _write_all(handle, at, part)
        at += step


def _write_all(handle: int, offset: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        done = os.pwrite(handle, left, offset)
        left, offset = left[done:], offset + done
