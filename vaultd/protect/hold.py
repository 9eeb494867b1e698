"""One process at a time works on a target: the daemon's worker takes its turn for each run, and a command that removes
or mends something there takes one for as long as it needs.

The turn is a lock on a file (flock): it ends with its process, however that ends. A restic that outlives its process
has restic's own lock.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from vaultd import files
from vaultd.errors import BusyError, StateError
from vaultd.i18n import _
from vaultd.names import display

FILE = "turn"
"""In the target's folder in the state folder."""

LOOK_EVERY = 0.25


class Turn:
    """``async with turn:`` has the target to itself. Within a process it is a lock as any other; waits for as long as
    another process has it, at most ``wait`` seconds where that is given (BusyError then)."""

    def __init__(self, folder: Path, *, wait: float | None = None) -> None:
        self._wait = wait
        self._lock = asyncio.Lock()
        self._folder = folder
        self._handle = _open(folder)

    def close(self) -> None:
        """Give the file back."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    async def __aenter__(self) -> None:
        await self._lock.acquire()
        try:
            until = None if self._wait is None else time.monotonic() + self._wait
            while not _take(self._handle):
                if until is not None and time.monotonic() > until:
                    raise BusyError(
                        _("target {name} is busy").format(name=self._folder.name),
                        _("another vaultd works on it"), _("wait for it to end: vaultd status"),
                    )  # fmt: skip
                await asyncio.sleep(LOOK_EVERY)
        except BaseException:
            self._lock.release()
            raise

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        fcntl.flock(self._handle, fcntl.LOCK_UN)
        self._lock.release()


def held(folder: Path) -> bool:
    """Whether another process has its turn at the target of this folder."""
    if not (folder / FILE).exists():
        return False
    handle = _open(folder)
    try:
        return not _take(handle)
    finally:
        os.close(handle)


def _take(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(folder: Path) -> int:
    try:
        files.make_private_directory(folder)
        flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        handle = os.open(folder / FILE, flags, 0o600)
        above, found = os.stat(folder), os.fstat(handle)
        if found.st_uid != above.st_uid and os.geteuid() == 0:
            os.fchown(handle, above.st_uid, above.st_gid)  # the daemon must be able to take it
    except OSError as error:
        raise StateError(
            _("the state folder {path} cannot be used").format(path=display(folder)), error.strerror or str(error),
            _("run it as root or as the daemon's user; check that its disk is mounted and not full"),
        ) from error  # fmt: skip
    return handle
