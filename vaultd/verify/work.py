"""The folder of one verification: names, hashes and restic's cache, and nobody else's. One that a dead process left is
removed by the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vaultd import files

FOLDER = "verify"
"""In the state folder."""


@contextlib.contextmanager
def folder(state: Path | None) -> Iterator[Path]:
    """A new private folder, in the state folder or, without one, where temporary files go; gone afterwards."""
    if state is None:
        made = Path(tempfile.mkdtemp(prefix="vaultd-"))
    else:
        files.make_private_directory(state / FOLDER)
        if os.geteuid() == 0:  # the daemon, which may be another user, makes its own in it
            owner = state.stat()
            os.chown(state / FOLDER, owner.st_uid, owner.st_gid)
        _clear(state / FOLDER)
        made = Path(tempfile.mkdtemp(dir=state / FOLDER))
    handle = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(handle)


def _clear(above: Path) -> None:
    for left in above.iterdir():
        with contextlib.suppress(OSError):
            handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(handle)
