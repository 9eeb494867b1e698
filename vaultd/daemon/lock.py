"""One vaultd at a time on a state folder: the daemon, or a backup in process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from vaultd import files
from vaultd.errors import BusyError, StateError
from vaultd.i18n import _
from vaultd.names import display


@contextlib.contextmanager
def exclusive(state: Path) -> Iterator[None]:
    """Hold the state folder's lock. Raises BusyError when another process has it; a dead one's is free at once."""
    try:
        files.make_private_directory(state)
        handle = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StateError(
            _("the state folder {path} cannot be used").format(path=display(state)), error.strerror or str(error),
            _("run it as root or as the daemon's user; check that its disk is mounted and not full"),
        ) from error  # fmt: skip
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "?"
            raise BusyError(
                _("another vaultd works on {path}").format(path=display(state)),
                _("its process is {pid}").format(pid=holder),
                _("wait for it to end; if it is the daemon, see vaultd status"),
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
