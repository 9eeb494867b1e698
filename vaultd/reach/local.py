"""A medium's files, and whether it is still there.

A disk that was pulled out leaves its mount behind: names and some content are still read from memory, and what is
written goes nowhere. So "is it there" asks the kernel for the device, and writes something through to it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from vaultd.config.medium import MediumTarget
from vaultd.errors import RepositoryError, TargetFullError, TargetReadOnlyError, UnreachableError
from vaultd.i18n import _
from vaultd.names import display

_SMALL = 16 * 1024 * 1024
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def check_plugged(target: MediumTarget) -> None:
    """That the medium is mounted, its device is there, and what is written to it arrives. Raises UnreachableError,
    TargetReadOnlyError, TargetFullError."""
    probe = target.mount / f".vaultd-probe-{secrets.token_hex(6)}"
    with _asking(target, str(target.mount)):
        if not os.path.ismount(target.mount):
            raise gone(target, _("it is not mounted"))
        number = os.stat(target.mount).st_dev
        size = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/size")
        if not size.exists() or not int(size.read_text()):
            raise gone(target, _("its device has gone"))
        try:
            handle = os.open(probe, _NEW, 0o600)
            try:
                os.write(handle, b"vaultd looks whether the medium is there\n")
                os.fsync(handle)
            finally:
                os.close(handle)
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)


def gone(target: MediumTarget, why: str) -> UnreachableError:
    """The medium is not there."""
    return UnreachableError(
        _("medium {label} is not there").format(label=target.name), why,
        _("plug it in and run again: vaultd evacuate medium prepare {label} --device DEVICE; nothing that was safe "
          "on it is lost, and copying goes on where it was").format(label=target.name),
    )  # fmt: skip


@contextlib.contextmanager
def _asking(target: MediumTarget, path: str) -> Iterator[None]:
    what = _("medium {label}: {path}").format(label=target.name, path=display(path))
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in _FULL:
            raise TargetFullError(what, _("the medium is full"), _("take a larger one")) from error
        if error.errno == errno.EROFS:  # it was mounted to be written to
            why = _("its file system met an error and takes nothing any more: it was pulled out, or it fails")
            raise gone(target, why) from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise TargetReadOnlyError(what, why, _("prepare it again as root")) from error
        raise gone(target, why) from error


class Folder:
    """The files of a medium."""

    def __init__(self, target: MediumTarget) -> None:
        self._target = target

    def _asking(self, path: str) -> contextlib.AbstractContextManager[None]:
        return _asking(self._target, path)

    def exists(self, path: str) -> bool:
        """Whether something is there."""
        with self._asking(path):
            return os.path.exists(path)

    def names(self, folder: str) -> list[str]:
        """The names in a folder, sorted; none when there is no folder."""
        return sorted(self.sizes(folder))

    def sizes(self, folder: str) -> dict[str, int]:
        """The names in a folder with their sizes in bytes; none when there is no folder."""
        try:
            with self._asking(folder), os.scandir(folder) as entries:
                return {entry.name: entry.stat(follow_symlinks=False).st_size for entry in entries}
        except FileNotFoundError:
            return {}

    def get(self, path: str) -> bytes:
        """A small file's content."""
        return self.fetch(path, 0, None, _SMALL)

    def fetch(self, path: str, offset: int, length: int | None, limit: int) -> bytes:
        """A part of a file (None: to its end), at most ``limit`` bytes; shorter where the file is."""
        with self._asking(path), open(path, "rb") as stream:
            stream.seek(offset)
            found = stream.read(limit + 1 if length is None else min(length, limit + 1))
        if len(found) > limit:
            raise RepositoryError(f"{self._target.name}: {display(path)}", _("it is too large"))
        return found

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is fine."""
        with contextlib.suppress(FileNotFoundError), self._asking(path):
            os.unlink(path)
