"""One courier at a time on an outbox. The lock is the open file's (F_OFD_SETLK): it ends with its process, and others
can ask whether it is taken without taking it, which flock(2) cannot."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from vaultd.errors import BusyError
from vaultd.i18n import _
from vaultd.names import display
from vaultd.notices import folders

FILE = "lock"


def _whole_file(kind: int) -> bytes:
    """struct flock (fcntl(2)): type, whence, start, length, pid."""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0)


@contextlib.contextmanager
def taken(state: Path) -> Iterator[int]:
    """Have the outbox as its courier; yields the handle, which a child is to close. Raises BusyError, StateError."""
    base = folders.root(state)
    path = base / folders.COURIER / FILE
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise folders.unusable(state, error) from error
    try:
        owner = os.fstat(handle).st_uid
        if owner == os.geteuid():
            above = path.parent.stat()
            if owner == 0:
                os.fchown(handle, above.st_uid, above.st_gid)  # a courier that is not root can take it next time
            os.fchmod(handle, 0o660 if folders.shared(state) else 0o600)
        try:
            fcntl.fcntl(handle, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_WRLCK))
        except BlockingIOError:
            raise BusyError(
                _("another courier has the outbox {path}").format(path=display(base)), "",
                _("see `systemctl status vaultd-courier`"),
            ) from None  # fmt: skip
        yield handle
    finally:
        os.close(handle)


def held(state: Path) -> bool:
    """Whether a courier runs. Raises StateError where that cannot be asked."""
    try:
        handle = os.open(
            folders.root(state) / folders.COURIER / FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        )  # fmt: skip
    except FileNotFoundError:
        return False
    except OSError as error:
        raise folders.unusable(state, error) from error
    try:
        answer = fcntl.fcntl(handle, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_WRLCK))
    finally:
        os.close(handle)
    return bool(struct.unpack_from("h", answer)[0] != fcntl.F_UNLCK)
