"""Put the payload in order: every file under the name that the manifests give it, and nothing that BagIt cannot carry.

In place, files are moved and the rest is taken away; ``names.jsonl`` is durable before the first of these steps, and
each can be done again, so that the same command goes on after a crash. From another folder, the payload is built in the
work folder and gets its name when it is whole.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from vaultd.bag import listing, names
from vaultd.bag.bench import Bench
from vaultd.bag.payload import BLOCK, Folder
from vaultd.errors import DifferenceError
from vaultd.i18n import _
from vaultd.names import display, join

_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES)
_COPY = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def in_place(bench: Bench, folder: Folder, aside: Path) -> None:
    """Move what cannot keep its name, remove what is no file, and folders that no format can name.

    ``aside``: where the moved files wait, while a folder ``_x`` of the vault's own may be in the way.
    """
    for path, kind in bench.db.execute("SELECT path, kind FROM other WHERE here ORDER BY path").fetchall():
        if kind not in listing.KEPT and kind != listing.FILE:
            _gone(os.unlink, folder.at(path))
    place = join(folder.path, names.PLACE) if folder.ours else os.fsencode(aside)
    for _path, now, stored, _size, _mtime in bench.files():
        if now != stored and not now.startswith(b"/"):
            os.makedirs(place, exist_ok=True)
            os.rename(folder.at(now), join(place, stored.rpartition(b"/")[2]))
    for (path,) in bench.db.execute("SELECT path FROM folder WHERE odd ORDER BY path DESC").fetchall():
        try:
            _gone(os.rmdir, folder.at(path))
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:  # a file in it can be named, such as in one with a space at its end
                raise
    if not folder.ours and aside.exists():
        aside.rename(os.fsdecode(join(folder.path, names.PLACE)))


def _gone(remove: Callable[[bytes], None], path: bytes) -> None:
    try:
        remove(path)
    except FileNotFoundError:
        return  # the run before has come so far


def build(bench: Bench, folder: Folder, to: Path, tell: Callable[[int], None]) -> None:
    """Make the payload in a new folder: hard links, or copies where that cannot be. Raises DifferenceError where a file
    is not any more as it was when it was hashed."""
    top = os.fsencode(to)
    to.mkdir(mode=0o700)
    for (path,) in bench.db.execute("SELECT path FROM folder WHERE NOT odd ORDER BY path"):
        os.makedirs(join(top, path), exist_ok=True)
    above = b""
    for path, place, stored, size, mtime in bench.files():
        source, there = folder.at(place), join(top, stored)
        if (parent := os.path.dirname(there)) != above:
            os.makedirs(parent, exist_ok=True)
            above = parent
        if not _linked(source, there, size, mtime):
            first = _copied(bench, path)
            if first is None or not _linked(join(top, first), there, size, mtime):
                _copy(bench, path, source, there)
        tell(size)
    for (path,) in bench.db.execute("SELECT path FROM folder WHERE NOT odd ORDER BY path DESC"):
        _metadata(folder.at(path), join(top, path))
    _metadata(folder.path, top)


def _linked(source: bytes, there: bytes, size: int, mtime: int) -> bool:
    try:
        os.link(source, there, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return False
    status = os.lstat(there)
    if (status.st_size, status.st_mtime_ns) != (size, mtime):
        raise _changed(source)
    return True


def _copied(bench: Bench, path: bytes) -> bytes | None:
    """The name in the payload of the file that this one is a hard link to, when that comes before it."""
    found = bench.db.execute(
        "SELECT stored FROM found WHERE links > 1 AND path < ? AND node=(SELECT node FROM found WHERE path=?)"
        " ORDER BY path LIMIT 1", (path, path)
    ).fetchone() if bench.one("SELECT links FROM found WHERE path=?", path) > 1 else None  # fmt: skip
    return None if found is None else bytes(found[0])


def _copy(bench: Bench, path: bytes, source: bytes, there: bytes) -> None:
    found = hashlib.sha256()
    with open(source, "rb") as stream, open(os.open(there, _COPY, 0o600), "wb") as to:
        while block := stream.read(BLOCK):
            found.update(block)
            if block.count(0) == len(block):
                to.seek(len(block), os.SEEK_CUR)  # a hole, as it may have been one
            else:
                to.write(block)
        to.truncate()
    if found.digest() != bench.one("SELECT sha256 FROM found WHERE path=?", path):
        raise _changed(source)
    _metadata(source, there)


def _metadata(source: bytes, there: bytes) -> None:
    if os.geteuid() == 0:
        status = os.lstat(source)
        os.chown(there, status.st_uid, status.st_gid, follow_symlinks=False)
    shutil.copystat(source, there, follow_symlinks=False)


def _changed(path: bytes) -> DifferenceError:
    return DifferenceError(
        display(path), _("it was changed while the bag was made"), _("let nobody write there, and run it again")
    )
