"""Walking a vault and comparing each directory with the catalog: one listing, one query, mostly one comparison in C."""

from __future__ import annotations

import os
import stat as stat_module
import time
from collections.abc import Callable, Collection, Iterable

from vaultd.model import Stat, inode_of
from vaultd.names import is_below, join
from vaultd.store import Store
from vaultd.store.catalog import COLUMNS, Row
from vaultd.watch.differences import Differences
from vaultd.watch.listings import Listings
from vaultd.watch.result import Counts

PROGRESS_SECONDS = 0.5
CHUNK = 2000

_QUERY = (
    f"SELECT file.name, {COLUMNS} FROM dir JOIN file ON file.dir=dir.id"  # noqa: S608  # a constant
    " WHERE dir.vault=? AND dir.path=? AND file.name<>x'' ORDER BY file.name"
)
_FILE, _FOLDER, _LINK = stat_module.S_IFREG, stat_module.S_IFDIR, stat_module.S_IFLNK
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

OnProgress = Callable[[int, int, int], None]
"""Called with files, directories and bytes seen so far."""


class Walk:
    """A walk over parts of a vault. ``skipped``: mounts not to be looked at. ``assigned``: directories that another
    call of ``below`` walks.

    Nothing is called gone that was not looked for and found missing.
    """

    def __init__(
        self,
        store: Store,
        vault: int,
        targets: tuple[int, ...],
        root: bytes,
        skipped: Collection[bytes],
        assigned: Collection[bytes] = (),
        *,
        accept: bool = False,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.counts = Counts()
        self._store = store
        self._db = store.database.reader()
        self._vault = vault
        self._root = root
        self._skipped = frozenset(skipped)
        self._apart = self._skipped | frozenset(assigned)
        self._differences = Differences(store, vault, targets, root, accept, self.counts)
        self._listings = Listings(store, vault, targets, root, accept, self._differences)
        self._on_progress = on_progress
        self._next_report = time.monotonic() + PROGRESS_SECONDS

    def at(self, paths: Iterable[bytes]) -> None:
        """Compare some paths themselves, and what is below those that are directories. None lies below another."""
        self.below(*[path for path in paths if not self._is_skipped(path) and self._entry(path)])

    def _is_skipped(self, path: bytes) -> bool:
        return any(is_below(path, mount) for mount in self._skipped)

    @property
    def whole(self) -> set[bytes]:
        """The directories of which the catalog had nothing before, and has what was listed now."""
        return self._listings.whole

    def below(self, *folders: bytes) -> None:
        """Compare what is below some directories, without those apart."""
        stack = list(folders)
        while stack or (stack := self._listings.write()):
            self._folder(stack.pop(), stack)
            if self._on_progress is not None and time.monotonic() >= self._next_report:
                self._on_progress(self.counts.files, self.counts.directories, self.counts.size)
                self._next_report = time.monotonic() + PROGRESS_SECONDS

    def entries(self, paths: Iterable[bytes]) -> None:
        """Compare some paths themselves, and nothing below them."""
        for path in paths:
            self._entry(path)

    def doubt(self, path: bytes) -> None:
        """Look at a path again when the differences are written."""
        self._differences.note(path)

    def finish(self) -> Counts:
        """Write what is left to be written, and return what was counted since the last call."""
        self._differences.write()
        counted, self.counts = self.counts, Counts()
        self._differences.counts = self.counts
        return counted

    def _entry(self, path: bytes) -> bool:
        known = self._store.entries(self._vault, (path,)).get(path)
        try:
            seen = Stat.of(os.lstat(join(self._root, path)))
        except (FileNotFoundError, NotADirectoryError):
            self._differences.note(path)
            return False
        except OSError:
            self.counts.not_read(path)
            return False
        if known is None or known.stat != seen:
            self._differences.note(path)
        if seen.kind == "d":
            return True
        self.counts.files += seen.kind == "f"
        self.counts.size += seen.size
        return False

    def _folder(self, folder: bytes, stack: list[bytes]) -> None:
        self._differences.write_if_has(folder)
        # The catalog before the disk: what is noted in the catalog meanwhile must not look like a deletion.
        cursor = self._db.execute(_QUERY, (self._vault, folder))
        rows: list[Row] = cursor.fetchmany(CHUNK)
        bare = not rows and self._store.is_bare(self._vault, folder)
        unread: set[bytes] = set()
        below: list[bytes] = []
        prefix = folder + b"/" if folder else b""
        try:
            own, found = self._listing(folder, prefix, below, unread)
        except (FileNotFoundError, NotADirectoryError):
            cursor.close()
            self._differences.note(folder)  # it went, or became something else, since it was listed
            return
        except OSError:
            cursor.close()
            self.counts.directories += 1
            self.counts.not_read(folder)
            return
        self.counts.directories += 1
        found.sort()
        if bare and found and not unread and self._listings.takes(folder, own, found, below):
            return
        stack.extend(below)
        at = 0
        while rows and rows == found[at : at + len(rows)]:  # nearly always: no Python code for each file
            at += len(rows)
            rows = cursor.fetchmany(CHUNK)
        if rows or at < len(found):
            rows.extend(cursor.fetchall())
            self._compare(prefix, rows, found[at:], unread)

    def _compare(self, prefix: bytes, rows: list[Row], found: list[Row], unread: set[bytes]) -> None:
        names, seen = {row[0] for row in rows}, {row[0] for row in found}
        for row in sorted(set(found).difference(rows)):
            path = prefix + row[0]
            if path not in self._skipped:
                self._differences.note(path)
        for name in sorted(names - seen - unread):
            path = prefix + name
            if not any(is_below(mount, path) for mount in self._skipped):
                self._differences.note(path)

    def _listing(
        self, folder: bytes, prefix: bytes, below: list[bytes], unread: set[bytes]
    ) -> tuple[os.stat_result, list[Row]]:
        rows: list[Row] = []
        add, stat, total, others = rows.append, os.stat, 0, 0
        handle = os.open(join(self._root, folder), _OPEN)
        try:
            own = os.fstat(handle)
            # By its handle: os.listdir gives bytes only for a path, and the path may mean another directory by now.
            for name in os.listdir(b"/proc/self/fd/%d" % handle):
                try:
                    seen = stat(name, dir_fd=handle, follow_symlinks=False)
                except FileNotFoundError:
                    continue  # gone since it was listed: as if it had never been listed
                except OSError:
                    unread.add(name)
                    self.counts.not_read(prefix + name)
                    continue
                mode = seen.st_mode
                kind = mode & 0o170000
                if kind == _FILE:
                    letter, size = "f", seen.st_size
                    total += size
                elif kind == _FOLDER:
                    letter, size = "d", 0
                    others += 1
                    path = prefix + name
                    if path not in self._apart:
                        below.append(path)
                else:
                    letter, size = "l" if kind == _LINK else "o", 0
                    others += 1
                add((
                    name, letter, inode_of(seen), size, seen.st_mtime_ns, seen.st_ctime_ns, mode & 0o7777, seen.st_uid,
                    seen.st_gid,
                ))  # fmt: skip
        finally:
            os.close(handle)
        self.counts.files += len(rows) - others
        self.counts.size += total
        return own, rows
