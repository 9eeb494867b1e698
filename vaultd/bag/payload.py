"""What is in the folder: every file found, hashed, and compared with the ledger. Changes nothing there."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vaultd.bag import listing, names
from vaultd.bag.bench import CHUNK, Bench
from vaultd.errors import DifferenceError, VaultdError
from vaultd.i18n import _, ngettext
from vaultd.names import display, is_below, join

BLOCK = 1 << 20
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
SHOWN = 1000
"""So many differences are named at most; all are counted."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder that is looked at. ``ours``: its ``_x`` was made by an earlier run; ``aside``: what one has moved out
    of it already lies there, under the name that it will have."""

    path: bytes
    ours: bool = False
    aside: bytes | None = None

    def at(self, place: bytes) -> bytes:
        """Where a place of the bench is."""
        if place.startswith(b"/"):
            return (self.aside or b"") + place
        return join(self.path, place)


@dataclass(frozen=True, slots=True)
class Difference:
    """A path that is not as on record. ``what``: "changed", "missing" or "unknown" (the ledger does not have it)."""

    path: bytes
    what: str
    expected: bytes | None = None
    found: bytes | None = None

    def __str__(self) -> str:
        shown = display(self.path)
        if self.what == "missing":
            return _("{path}: missing").format(path=shown)
        if self.what == "unknown":
            return _("{path}: not in the ledger").format(path=shown)
        return _("{path}: other content than on record").format(path=shown)


class PayloadDiffersError(DifferenceError):
    """The folder is not what the ledger says. ``count``: how many paths; ``differences``: the first of them."""

    def __init__(self, what: str, why: str, hint: str, count: int, differences: list[Difference]) -> None:
        super().__init__(what, why, hint)
        self.count = count
        self.differences = differences


def scan(bench: Bench, folder: Folder) -> None:
    """Note everything in the folder, without reading it, and give each file the name that it will have."""
    insert = "INSERT INTO found(path, place, odd, size, mtime, node, links) VALUES (?, ?, ?, ?, ?, ?, ?)"
    try:
        bench.fill(insert, _walk(bench, folder))
        if folder.aside is not None:
            bench.fill(insert, _moved(bench, folder.aside))
    except sqlite3.IntegrityError as error:
        raise VaultdError(
            display(folder.path), _("a file is there twice: under its own name and under {place}").format(place="_x"),
            _("restore into a new folder, and make the bag there"),
        ) from error  # fmt: skip
    _forget(bench)
    bench.db.execute("UPDATE found SET stored=(SELECT stored FROM named WHERE named.path=found.path)")
    bench.fill("INSERT INTO normal(path, nfc) VALUES (?, ?)", _not_normal(bench))
    bench.db.execute("CREATE INDEX normal_nfc ON normal(nfc)")
    bench.db.execute(
        "UPDATE found SET odd=1 WHERE path IN (SELECT path FROM normal AS one"
        " WHERE EXISTS(SELECT 1 FROM found AS other WHERE other.path=one.nfc)"
        " OR EXISTS(SELECT 1 FROM normal AS other WHERE other.nfc=one.nfc AND other.path!=one.path))"
    )
    _number(bench)
    _note_links(bench)


def _walk(bench: Bench, folder: Folder) -> Iterator[tuple[bytes, bytes, int, int, int, str, int]]:
    known = dict(bench.db.execute("SELECT stored, path FROM named")) if folder.ours else {}
    folders = [b""]
    while folders:
        above = folders.pop()
        mine = folder.ours and above == names.PLACE
        empty = True
        with os.scandir(join(folder.path, above)) as entries:
            for entry in entries:
                empty = False
                place = join(above, entry.name) if above else entry.name
                status = entry.stat(follow_symlinks=False)
                path = known.get(place, place) if mine else place
                if stat.S_ISDIR(status.st_mode):
                    folders.append(place)
                    if place != names.PLACE or not folder.ours:
                        bench.db.execute("INSERT INTO folder VALUES (?, ?)", (path, not names.carried(path)))
                elif stat.S_ISREG(status.st_mode):
                    yield _row(path, place, status)
                else:
                    kind, line = listing.of_other(path, entry.path, status)
                    bench.note(path, kind, line)
        if empty and above and not mine:
            kind, line = listing.of_other(above, b"", os.lstat(join(folder.path, above)))
            bench.note(above, kind, line)


def _moved(bench: Bench, aside: bytes) -> Iterator[tuple[bytes, bytes, int, int, int, str, int]]:
    """The files that an interrupted run has moved out of the payload."""
    known = dict(bench.db.execute("SELECT stored, path FROM named"))
    with os.scandir(aside) as entries:
        for entry in entries:
            place = names.PLACE + b"/" + entry.name
            yield _row(known.get(place, place), b"/" + entry.name, entry.stat(follow_symlinks=False))


def _forget(bench: Bench) -> None:
    """Drop what an earlier run has noted and is not so any more, and folders that are empty since it moved files."""
    bench.db.execute(
        "DELETE FROM other WHERE NOT here AND kind NOT IN (?, ?)"
        " AND (path IN (SELECT path FROM found) OR path IN (SELECT path FROM folder))", (listing.FILE, listing.LINK)
    )  # fmt: skip
    below = "path > CAST(o.path || X'2F' AS BLOB) AND path < CAST(o.path || X'30' AS BLOB)"
    bench.db.execute(
        "DELETE FROM other AS o WHERE kind=? AND (EXISTS(SELECT 1 FROM found WHERE "  # noqa: S608  # a constant
        f"{below}) OR EXISTS(SELECT 1 FROM other WHERE {below}))", (listing.FOLDER,)
    )  # fmt: skip


def _row(path: bytes, place: bytes, status: os.stat_result) -> tuple[bytes, bytes, int, int, int, str, int]:
    node = f"{status.st_dev}:{status.st_ino}"
    return path, place, not names.carried(path), status.st_size, status.st_mtime_ns, node, status.st_nlink


def _not_normal(bench: Bench) -> Iterator[tuple[bytes, bytes]]:
    for (path,) in bench.db.execute("SELECT path FROM found WHERE NOT odd"):
        normal = names.normal(path)
        if normal != path:
            yield path, normal


def _number(bench: Bench) -> None:
    """Names for the files that cannot keep their own; those of an earlier run keep what they got."""
    last = max(
        (int(stored.rpartition(b"/")[2]) for (stored,) in bench.db.execute("SELECT stored FROM named")), default=0
    )
    odd = [path for (path,) in bench.db.execute("SELECT path FROM found WHERE stored IS NULL AND odd ORDER BY path")]
    bench.fill(
        "UPDATE found SET stored=? WHERE path=?", ((names.stored(last + at), path) for at, path in enumerate(odd, 1))
    )
    bench.db.execute("UPDATE found SET stored=path WHERE stored IS NULL")
    bench.fill(
        "INSERT OR REPLACE INTO other VALUES (?, ?, ?, 1)",
        (
            (path, listing.FILE, listing.of_file(path, stored))
            for path, stored in bench.db.execute("SELECT path, stored FROM found WHERE stored!=path").fetchall()
        ),
    )


def _note_links(bench: Bench) -> None:
    # A payload that was linked has a second name for everything, outside of it: only groups inside count.
    bench.db.execute("CREATE INDEX found_node ON found(node) WHERE links > 1")
    first: dict[str, bytes] = {}
    for node, path in bench.db.execute(
        "SELECT node, path FROM found WHERE links > 1 AND node IN"
        " (SELECT node FROM found WHERE links > 1 GROUP BY node HAVING count(*) > 1) ORDER BY path"
    ):
        name = first.setdefault(node, path)
        if name != path:
            line = listing.of_link(path, name)
            bench.note(path, listing.LINK, line)


def digests(path: bytes, sm3: bool, tell: Callable[[int], None]) -> tuple[bytes, bytes | None, int]:
    """SHA-256, SM3 where it is wanted, and size of what was read of a regular file. Raises OSError."""
    first, second, size = hashlib.sha256(), hashlib.new("sm3") if sm3 else None, 0
    handle = os.open(path, _FLAGS)
    try:
        while block := os.read(handle, BLOCK):
            first.update(block)
            if second is not None:
                second.update(block)
            size += len(block)
            tell(len(block))
    finally:
        os.close(handle)
    return first.digest(), None if second is None else second.digest(), size


def hash_all(bench: Bench, folder: Folder, sm3: bool, tell: Callable[[int, int], None]) -> None:
    """Hash every file found. ``tell`` gets how many files and bytes came since it was called last."""
    rows = list[tuple[bytes, bytes | None, int, bytes]]()
    update = "UPDATE found SET sha256=?, sm3=?, size=? WHERE path=?"
    for path, place, _stored, _size, _mtime in bench.files():
        sha256, other, size = digests(folder.at(place), sm3, lambda count: tell(0, count))
        tell(1, 0)
        rows.append((sha256, other, size, path))
        if len(rows) == CHUNK:
            bench.fill(update, rows)
            rows.clear()
    bench.fill(update, rows)


_CHANGED = (
    "f.sha256 IS NOT r.sha256 OR f.size IS NOT r.size OR (f.sm3 IS NOT r.sm3 AND r.sm3 NOTNULL AND f.sm3 NOTNULL)"
)
_DIFFERENCES = f"""
SELECT r.path AS path, CASE WHEN f.path IS NULL THEN 'missing' ELSE 'changed' END, r.sha256, f.sha256
FROM recorded AS r LEFT JOIN found AS f ON f.path=r.path WHERE CASE WHEN f.path IS NULL
    THEN r.path NOT IN (SELECT path FROM other WHERE kind='{listing.DESTROYED}') ELSE {_CHANGED} END
UNION ALL SELECT path, 'unknown', NULL, sha256 FROM found WHERE path NOT IN (SELECT path FROM recorded)
"""  # noqa: S608  # constants


def note_destroyed(bench: Bench, covers: Callable[[bytes], bool]) -> int:
    """Note which files on record are not in the folder because they were destroyed: ``covers`` says so. How many."""
    # What an earlier run has noted is asked about again: the folder's own word counts for nothing.
    bench.db.execute("DELETE FROM other WHERE kind=?", (listing.DESTROYED,))
    absent = "SELECT path FROM recorded WHERE path NOT IN (SELECT path FROM found)"
    gone = [path for (path,) in bench.db.execute(absent) if covers(path)]
    for path in gone:
        bench.note(path, listing.DESTROYED, listing.of_destroyed(path))
    return len(gone)


def compare(bench: Bench, folder: Folder, what: str, hint: str) -> None:
    """Raise PayloadDiffersError when the files found are not those on record."""
    count = bench.one(f"SELECT count(*) FROM ({_DIFFERENCES})")  # noqa: S608
    if count:
        rows = bench.db.execute(f"{_DIFFERENCES} ORDER BY path LIMIT {SHOWN}")
        differences = [Difference(*row) for row in rows]
        why = ngettext(
            "{count} path of {folder} is not as the ledger has it",
            "{count} paths of {folder} are not as the ledger has it", count,
        ).format(count=count, folder=display(folder.path))  # fmt: skip
        raise PayloadDiffersError(what, why, hint, count, differences)


def inside(path: bytes, above: bytes) -> bool:
    """Whether one real path is another or lies in it."""
    return is_below(path.lstrip(b"/"), above.lstrip(b"/"))
