"""Looking at a path inside a vault without ever following a symlink on the way there.

``lstat`` follows every component but the last: once a folder was replaced by a symlink, it answers for a file
somewhere else.
"""

from __future__ import annotations

import errno
import os
import stat as stat_module
from collections.abc import Iterable

from vaultd.model import Stat
from vaultd.names import join, parent

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Look:
    """A look at some paths of one moment: which folders are real is remembered, so make a new one for each batch."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._real: dict[bytes, bool] = {b"": True}

    def at(self, path: bytes) -> Stat | None:
        """What is there now; None when nothing is. Raises OSError when it cannot be told (permission, bad disk)."""
        found = self.raw(path)
        return None if found is None else Stat.of(found)

    def raw(self, path: bytes) -> os.stat_result | None:
        """The same as ``lstat`` has it: for whoever compares a hundred thousand of them."""
        folder = parent(path)
        real = self._real.get(folder)
        try:
            if real is None:
                real = self._is_real(folder)
            return os.lstat(join(self._root, path)) if real else None
        except OSError as error:
            if error.errno in _GONE:
                return None
            if error.errno == errno.ENAMETOOLONG:
                return self._step_by_step(path)
            raise

    def elsewhere(self, paths: Iterable[bytes]) -> set[bytes]:
        """Those of the paths that lie below what is no real folder, or below one that cannot be looked at: ``lstat`` of
        the path alone may have answered for another file."""
        found = set[bytes]()
        for path in paths:
            folder = parent(path)
            real = self._real.get(folder)
            if real is None:
                try:
                    real = self._is_real(folder)
                except OSError:
                    real = self._real[folder] = False
            if not real:
                found.add(path)
        return found

    def _step_by_step(self, path: bytes) -> os.stat_result | None:
        """A path longer than the kernel takes at once: nobody can read the file, but that it is there can be told."""
        *folders, name = path.split(b"/")
        handle = os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for folder in folders:
                inner = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
                os.close(handle)
                handle = inner
            return os.stat(name, dir_fd=handle, follow_symlinks=False)
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise
        finally:
            os.close(handle)

    def _is_real(self, folder: bytes) -> bool:
        unknown = []
        while folder not in self._real:
            unknown.append(folder)
            folder = parent(folder)
        real = self._real[folder]
        for step in reversed(unknown):  # no recursion: a path may have 2,000 folders
            real = real and stat_module.S_ISDIR(os.lstat(join(self._root, step)).st_mode)
            self._real[step] = real
        return real
