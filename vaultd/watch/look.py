"""Looking at a path inside a vault without ever following a symlink on the way there.

``lstat`` follows every component but the last: once a folder was replaced by a symlink, it answers for a file
somewhere else.
"""

from __future__ import annotations

import errno
import os
import stat as stat_module

from vaultd.model import Stat
from vaultd.names import join, parent


class Look:
    """A look at some paths of one moment: which folders are real is remembered, so make a new one for each batch."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._real: dict[bytes, bool] = {b"": True}

    def at(self, path: bytes) -> Stat | None:
        """What is there now; None when nothing is. Raises OSError when it cannot be told (permission, bad disk)."""
        try:
            if not self._is_real(parent(path)):
                return None
            return Stat.of(os.lstat(join(self._root, path)))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            raise

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
