"""What a repository holds, read without restic: folders by their tree's id, pieces of files by theirs.

The index is looked through from its smallest file on, and only as far as it is needed: what was stored in the last runs
is in small ones. It is kept in a database of its own on disk, not in memory.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from vaultd.restic.blobs import Blob, DamagedError, Opener, blobs_of
from vaultd.restic.commands.common import nanoseconds
from vaultd.restic.commands.look import unquoted
from vaultd.restic.fetch import Fetch

SMALL_PACK = 1 << 20
"""So much of a pack with folders is fetched at once: the other folders of its snapshot are there too."""

KEPT = 32 << 20
"""So many bytes of such packs are kept."""

_SEALED = 32
"""Bytes that nonce and MAC add to a blob."""

FILE, FOLDER, SYMLINK = "file", "dir", "symlink"

_SCHEMA = (
    "CREATE TABLE blob(id BLOB PRIMARY KEY, pack TEXT, offset INTEGER, length INTEGER, size INTEGER) WITHOUT ROWID"
)


class StoppedError(Exception):
    """Somebody does not want it any more."""


class Node(NamedTuple):
    """One entry of a folder. ``kind`` is restic's; ``mode`` has permission bits with setuid, setgid, sticky; times are
    nanoseconds; ``content``: the ids of a file's pieces, one after the other; ``group``: the same in all names of one
    file with hard links, None for a file with one name; ``subtree``: of a folder."""

    name: bytes
    kind: str
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    xattrs: tuple[tuple[str, bytes], ...]
    content: bytes
    target: bytes
    group: tuple[int, int] | None
    subtree: bytes


class Contents:
    """One repository. ``stop`` ends it before anything else is fetched (StoppedError).

    Everything raises DamagedError or FileNotFoundError for what cannot be had, and TargetError for the line.
    """

    def __init__(self, fetch: Fetch, opener: Opener, stop: threading.Event) -> None:
        self.read = 0
        self._fetch, self._opener, self._stop = fetch, opener, stop
        self._packs = OrderedDict[str, bytes]()
        self._db = sqlite3.connect("", check_same_thread=False)  # a file that goes away by itself
        self._db.execute("PRAGMA journal_mode=OFF")
        self._db.execute(_SCHEMA)
        sizes = fetch.sizes("index")
        self._unread = sorted(sizes, key=lambda name: (-sizes[name], name))

    def close(self) -> None:
        """Forget it all."""
        self._db.close()

    def find(self, ids: Sequence[bytes]) -> dict[bytes, Blob]:
        """Where blobs are; one that is nowhere is left out."""
        found = self._known(ids)
        while self._unread and len(found) < len(set(ids)):
            name = self._unread.pop()
            try:
                index = self._opener.file(name, self._get(f"index/{name}"))
            except (DamagedError, FileNotFoundError):
                continue  # another may tell of the same; a prune has replaced it
            self._db.executemany("INSERT OR IGNORE INTO blob VALUES(?, ?, ?, ?, ?)", blobs_of(index))
            found |= self._known([one for one in ids if one not in found])
        return found

    def _known(self, ids: Sequence[bytes]) -> dict[bytes, Blob]:
        found = dict[bytes, Blob]()
        for one in ids:
            row = self._db.execute("SELECT * FROM blob WHERE id=?", (one,)).fetchone()
            if row is not None:
                found[one] = Blob._make(row)
        return found

    def tree(self, tree: bytes) -> list[Node]:
        """The entries of a folder."""
        blob = self.find([tree]).get(tree)
        if blob is None:
            raise DamagedError("index")
        try:
            return _nodes(json.loads(self._opener.blob(blob, self._sealed(blob))))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedError("folder") from error

    def _sealed(self, blob: Blob) -> bytes:
        if blob.offset + blob.length > SMALL_PACK:
            return self._part(blob.pack, blob.offset, blob.length)
        pack = self._packs.get(blob.pack)
        if pack is None:
            pack = self._packs[blob.pack] = self._part(blob.pack, 0, SMALL_PACK)  # as much of it as there is
            while sum(map(len, self._packs.values())) > KEPT:
                self._packs.popitem(last=False)
        return pack[blob.offset : blob.offset + blob.length]

    def pieces(self, blobs: Sequence[Blob]) -> Iterator[tuple[Blob, bytes | None]]:
        """The content of blobs of one pack, in the order of their places in it; None for one that cannot be had."""
        blobs = sorted(set(blobs), key=lambda one: one.offset)
        begin, end = blobs[0].offset, blobs[-1].offset + blobs[-1].length
        whole = end - begin <= 2 * sum(one.length for one in blobs)
        try:
            span = self._part(blobs[0].pack, begin, end - begin) if whole else b""
            for blob in blobs:
                at = blob.offset - begin
                sealed = span[at : at + blob.length] if whole else self._part(blob.pack, blob.offset, blob.length)
                yield blob, self._opened(blob, sealed)
        except FileNotFoundError:
            yield from ((blob, None) for blob in blobs)

    def _opened(self, blob: Blob, sealed: bytes) -> bytes | None:
        try:
            return self._opener.blob(blob, sealed)
        except DamagedError:
            return None

    def _get(self, path: str) -> bytes:
        if self._stop.is_set():
            raise StoppedError
        found = self._fetch.get(path)
        self.read += len(found)
        return found

    def _part(self, pack: str, offset: int, length: int) -> bytes:
        if self._stop.is_set():
            raise StoppedError
        found = self._fetch.part(f"data/{pack[:2]}/{pack}", offset, length)
        self.read += len(found)
        return found


def size_of(blob: Blob) -> int:
    """Bytes of a blob's content."""
    return blob.size or blob.length - _SEALED


def _nodes(found: Any) -> list[Node]:
    nodes = [_node(one) for one in found["nodes"] or ()]
    names = {node.name for node in nodes}
    if len(names) < len(nodes) or any(
        not name or name in (b".", b"..") or b"/" in name or b"\0" in name for name in names
    ):
        raise DamagedError("names")
    return nodes


def _node(found: dict[str, Any]) -> Node:
    name, mode = str(found["name"]), int(found.get("mode", 0))
    special = (0o4000 if mode & 1 << 23 else 0) | (0o2000 if mode & 1 << 22 else 0) | (0o1000 if mode & 1 << 20 else 0)
    kind = str(found["type"])
    raw = found.get("linktarget_raw")
    several = kind == FILE and found.get("links", 1) > 1
    return Node(
        name=unquoted(name) if "\\" in name else name.encode(),
        kind=kind,
        mode=(mode & 0o777) | special,
        uid=int(found.get("uid", 0)),
        gid=int(found.get("gid", 0)),
        mtime=nanoseconds(found["mtime"]),
        size=int(found.get("size", 0)),
        xattrs=tuple(
            (str(one["name"]), base64.b64decode(one["value"] or "")) for one in found.get("extended_attributes") or ()
        ),
        content=b"".join(map(bytes.fromhex, found.get("content") or ())),
        target=base64.b64decode(raw) if raw else str(found.get("linktarget", "")).encode(),
        group=(int(found.get("device_id", 0)), int(found.get("inode", 0))) if several else None,
        subtree=bytes.fromhex(found["subtree"]) if kind == FOLDER else b"",
    )
