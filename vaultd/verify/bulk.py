"""Many small files, read back pack by pack: each pack comes once and whole, and has thousands of them.

``restic dump`` asks the server for every file by itself: 100,000 small ones take it several times as long as a restore.
So what they consist of is opened here (``restic.blobs``): a small file is one blob, whose SHA-256 is computed from what
is stored and compared with the ledger, as that of a streamed file is. Files of more than one blob are put together from
parts of packs, unless they are large.

Nothing is called damaged here: what cannot be opened stays to be read, and restic has the last word on it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from vaultd.restic.blobs import Blob, DamagedError, Opener, blobs_of
from vaultd.restic.commands.look import unquoted
from vaultd.restic.contents import StoppedError
from vaultd.restic.fetch import Fetch
from vaultd.verify.expect import Part
from vaultd.verify.openers import Openers, result_of
from vaultd.verify.reader import FILE, Record
from vaultd.verify.rows import WANTED, Place, Row

LEAST_FILES = 1000
"""Fewer are sooner streamed."""

SMALL = 1 << 20
"""Average bytes of a file; of larger ones restic streams quicker than Python can open."""

LARGE = 64 << 20
"""Files of more than one blob and this size are streamed, each by itself."""

FEW_PACKS = 4
"""So few are opened here; another process takes half a second to start."""

AT_ONCE = 2
"""So many packs wait to be opened."""

MOST_BLOBS = 10_000
"""So many are opened together: a pack of tiny files has more than a hundred thousand, and each takes memory here."""

NOTE_AT = 5000
TREES = 4
"""So many packs of folders are kept while the folders are walked."""

_EMPTY = hashlib.sha256().digest()
_SCHEMA = """
CREATE TABLE blob(id BLOB PRIMARY KEY, pack TEXT, offset INTEGER, length INTEGER, size INTEGER) WITHOUT ROWID;
CREATE TABLE need(id BLOB, path BLOB, size INTEGER);
CREATE TABLE todo(
    id BLOB, pack TEXT, offset INTEGER, length INTEGER, size INTEGER,
    path BLOB, sha256 BLOB, full INTEGER, mtime INTEGER
);
CREATE TABLE more(path BLOB PRIMARY KEY, size INTEGER, content TEXT) WITHOUT ROWID;
"""

Take = Callable[[Sequence[Record]], None]


def worth_it(files: int, size: int) -> bool:
    """Whether so many wanted files of so many bytes are better read so."""
    return files >= LEAST_FILES and size <= files * SMALL


@dataclass(slots=True)
class Bulk:
    """One snapshot. ``take`` is given files that were read whole, ``good`` the rows of those that were found to be as
    on record; ``stop`` ends it between two packs."""

    place: Place
    part: Part
    opener: Opener
    fetch: Fetch
    take: Take
    good: Callable[[list[Row]], None]
    on_bytes: Callable[[int], None]
    stop: threading.Event
    read: int = 0
    _packs: dict[str, bytes] = field(default_factory=dict)
    _single: list[tuple[bytes, bytes, int]] = field(default_factory=list)
    _several: list[tuple[bytes, int, str]] = field(default_factory=list)

    def run(self) -> None:
        """Read what can be read. Raises TargetError, StoppedError, DamagedError where not even the index or the first
        folder can be opened."""
        db = self.place.bench.db
        with self.place.lock:
            db.executescript(_SCHEMA)
        for name in self.fetch.names("index"):
            found = self.opener.file(name, self._get(f"index/{name}"))
            self._fill("INSERT OR IGNORE INTO blob VALUES(?, ?, ?, ?, ?)", blobs_of(found))
        self._walk()
        self._packs.clear()
        self._small()
        self._more()

    def _fill(self, statement: str, rows: Any) -> None:
        with self.place.lock:
            self.place.bench.fill(statement, rows)

    def _get(self, path: str) -> bytes:
        if self.stop.is_set():
            raise StoppedError
        found = self.fetch.get(path)
        self.read += len(found)
        self.on_bytes(self.read)
        return found

    # folders

    def _walk(self) -> None:
        """Note every file of the vault's folder, a level of folders after the other."""
        tree = bytes.fromhex(self.part.snapshot.tree)
        for name in self.part.snapshot.root.strip(b"/").split(b"/") if self.part.rows.prefix else ():
            nodes = next((nodes for _id, nodes in self._trees([tree])), [])
            found = next((node for node in nodes if _name(node) == name), None)
            if found is None:
                raise DamagedError("folder")
            tree = bytes.fromhex(found["subtree"])
        level: dict[bytes, list[bytes]] = {tree: [b""]}
        while level:
            deeper: dict[bytes, list[bytes]] = {}
            ids = list(level)
            for at in range(0, len(ids), 500):
                for one, nodes in self._trees(ids[at : at + 500]):
                    for folder in level[one]:
                        self._note(folder, nodes, deeper)
            level = deeper
        self._note_down()

    def _note(self, folder: bytes, nodes: Sequence[dict[str, Any]], deeper: dict[bytes, list[bytes]]) -> None:
        empty = list[Record]()
        for node in nodes:
            path = folder + _name(node)
            if node["type"] == "dir":
                deeper.setdefault(bytes.fromhex(node["subtree"]), []).append(path + b"/")
            elif node["type"] == "file":
                content: list[str] = node.get("content") or []
                size = node.get("size", 0)
                if len(content) == 1:
                    self._single.append((bytes.fromhex(content[0]), path, size))
                elif content:
                    self._several.append((path, size, "".join(content) if size <= LARGE else ""))
                else:
                    empty.append(Record(FILE, self.part.rows.prefix + path, 0, _EMPTY))
        if empty:
            self.take(empty)
        if len(self._single) + len(self._several) > NOTE_AT:
            self._note_down()

    def _note_down(self) -> None:
        self._fill("INSERT INTO need VALUES(?, ?, ?)", self._single)
        self._fill("INSERT OR REPLACE INTO more VALUES(?, ?, ?)", self._several)
        self._single, self._several = [], []

    def _trees(self, ids: Sequence[bytes]) -> Iterator[tuple[bytes, list[dict[str, Any]]]]:
        """The entries of folders, one at a time; those that cannot be opened are left out."""
        for blob in sorted(self._blobs(ids), key=lambda one: (one.pack, one.offset)):
            try:
                if blob.pack not in self._packs:
                    while len(self._packs) >= TREES:
                        del self._packs[next(iter(self._packs))]
                    self._packs[blob.pack] = self._get(_path(blob.pack))
                raw = self._packs[blob.pack][blob.offset : blob.offset + blob.length]
                nodes = json.loads(self.opener.blob(blob, raw))["nodes"] or []
            except (FileNotFoundError, DamagedError):
                continue
            yield blob.id, nodes

    def _blobs(self, ids: Sequence[bytes]) -> list[Blob]:
        marks = ",".join("?" * len(ids))
        with self.place.lock:
            rows = self.place.bench.db.execute(f"SELECT * FROM blob WHERE id IN ({marks})", tuple(ids)).fetchall()
        return [Blob._make(row) for row in rows]

    # files

    def _small(self) -> None:
        """Files of one blob, by the packs that these are in: one is opened in another process while the next comes."""
        with self.place.lock:
            db = self.place.bench.db
            db.execute(
                "INSERT INTO todo SELECT b.id, b.pack, b.offset, b.length, b.size, n.path, r.sha256, r.size, r.mtime"
                f" FROM need n JOIN blob b ON b.id=n.id LEFT JOIN {self.part.rows.table} r ON r.path=n.path"
                f" WHERE r.path IS NULL OR r.seen={WANTED} ORDER BY b.pack, b.offset"
            )
            packs = db.execute("SELECT pack, min(rowid), max(rowid) FROM todo GROUP BY pack").fetchall()
        with Openers(self.opener, alone=len(packs) < FEW_PACKS) as openers:
            waiting = list[tuple[list[tuple[Any, ...]], Future[list[int]]]]()
            for pack, first, last in packs:
                try:
                    content = self._get(_path(pack))
                except FileNotFoundError:
                    continue
                for at in range(first, last + 1, MOST_BLOBS):
                    rows = (at, min(last, at + MOST_BLOBS - 1))
                    with self.place.lock:
                        found = db.execute("SELECT * FROM todo WHERE rowid BETWEEN ? AND ?", rows).fetchall()
                    blobs = [Blob._make(row[:5]) for row in found]
                    begin, end = blobs[0].offset, max(one.offset + one.length for one in blobs)
                    shifted = [one._replace(offset=one.offset - begin) for one in blobs]
                    waiting.append((found, openers.sizes(content[begin:end], shifted)))
                    while len(waiting) > AT_ONCE:
                        self._settle(*waiting.pop(0))
            for one in waiting:
                self._settle(*one)

    def _settle(self, found: Sequence[tuple[Any, ...]], opened: Future[list[int]]) -> None:
        """What became of the files of a pack: those that are as on record, and those that are to be compared."""
        good, others = list[Row](), list[Record]()
        for row, size in zip(found, result_of(opened), strict=True):
            if size < 0:
                continue
            if row[6] == row[0] and row[7] == size:
                good.append(Row(row[5], row[6], size, row[8]))
            else:
                others.append(Record(FILE, self.part.rows.prefix + row[5], size, row[0]))
        self.good(good)
        if others:
            self.take(others)

    def _more(self) -> None:
        """Files of several blobs, one after the other."""
        last = b""
        query = (
            f"SELECT m.path, m.content FROM more m LEFT JOIN {self.part.rows.table} r ON r.path=m.path"
            f" WHERE (r.path IS NULL OR r.seen={WANTED}) AND m.size<=? AND m.path>? ORDER BY m.path LIMIT 100"
        )
        while True:
            with self.place.lock:
                rows = self.place.bench.db.execute(query, (LARGE, last)).fetchall()
            if not rows:
                return
            for path, content in rows:
                last = path
                found = self._whole(path, [bytes.fromhex(content[at : at + 64]) for at in range(0, len(content), 64)])
                if found is not None:
                    self.take([found])

    def _whole(self, path: bytes, ids: Sequence[bytes]) -> Record | None:
        known, digest, size = {blob.id: blob for blob in self._blobs(list(set(ids)))}, hashlib.sha256(), 0
        for one in ids:
            blob = known.get(one)
            if blob is None:
                return None
            if self.stop.is_set():
                raise StoppedError
            try:
                content = self.opener.blob(blob, self.fetch.part(_path(blob.pack), blob.offset, blob.length))
            except (FileNotFoundError, DamagedError):
                return None
            digest.update(content)
            size += len(content)
            self.read += blob.length
        self.on_bytes(self.read)
        return Record(FILE, self.part.rows.prefix + path, size, digest.digest())


def _name(node: dict[str, Any]) -> bytes:
    name = str(node["name"])
    return unquoted(name) if "\\" in name else name.encode()


def _path(pack: str) -> str:
    return f"data/{pack[:2]}/{pack}"
