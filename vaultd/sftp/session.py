"""An open SFTP session: small files, room, and whether one may write; each failure is one of vaultd's errors.

Everything here blocks; coroutines call it in a thread. Paths are as the server sees them: a relative one starts at the
account's start folder.
"""

from __future__ import annotations

import contextlib
import posixpath
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vaultd.errors import RepositoryError, TargetReadOnlyError, VaultdError
from vaultd.i18n import _
from vaultd.sftp.failures import unreachable

if TYPE_CHECKING:
    import paramiko

SMALL = 16 * 1024 * 1024
MOST_NAMES = 1_000_000
_PIECE, _AT_ONCE = 32 * 1024, 128
"""Bytes of a request, which is what every server gives; so many are under way."""

_EXTENDED = 200  # SSH_FXP_EXTENDED
_EXTENDED_REPLY = 201
_READ_ONLY_FLAG = 1  # SSH_FXE_STATVFS_ST_RDONLY


@dataclass(frozen=True, slots=True)
class Space:
    """Room in the file system that holds the repository. Bytes, for the account that asks."""

    free: int
    total: int
    read_only: bool


class Session:
    """An open SFTP session. Every failure is one of vaultd's errors; a missing file is FileNotFoundError."""

    def __init__(self, transport: paramiko.Transport, sftp: paramiko.SFTPClient, name: str) -> None:
        self._transport = transport
        self._sftp = sftp
        self._name = name

    def _what(self, path: str) -> str:
        return _("target {name}: {path}").format(name=self._name, path=path or ".")

    @contextlib.contextmanager
    def _asking(self, path: str) -> Iterator[paramiko.SFTPClient]:
        import paramiko

        what = self._what(path)
        try:
            yield self._sftp
        except (FileNotFoundError, VaultdError):
            raise
        except PermissionError as error:
            hint = _("check owner and mode at the server, and whether it is mounted read-only")
            raise TargetReadOnlyError(what, _("the server does not permit it"), hint) from error
        except (TimeoutError, EOFError, paramiko.SSHException) as error:
            raise unreachable(self._name, error) from error
        except OSError as error:
            # A refusal of the server has no error number; an error of the line has one, or has ended the session.
            if not self._transport.is_active() or error.errno is not None:
                raise unreachable(self._name, error) from error
            why = _("the server says: {error}").format(error=error)
            raise RepositoryError(what, why, _("its file system may be full or read-only")) from error

    def exists(self, path: str) -> bool:
        """Whether something is there."""
        try:
            with self._asking(path) as sftp:
                sftp.stat(path)
        except FileNotFoundError:
            return False
        return True

    def names(self, folder: str, limit: int = MOST_NAMES) -> list[str]:
        """The names in a folder, sorted; none when there is no folder. Raises RepositoryError when it has more than
        ``limit``: a server says what it likes, and must not fill our memory."""
        found = list[str]()
        try:
            with self._asking(folder) as sftp:
                for entry in sftp.listdir_iter(folder, read_aheads=8):
                    found.append(entry.filename)
                    if len(found) > limit:
                        break
        except FileNotFoundError:
            return []
        if len(found) > limit:
            raise RepositoryError(self._what(folder), _("more than {count} names are in it").format(count=limit))
        return sorted(found)

    def sizes(self, folder: str, limit: int = MOST_NAMES) -> dict[str, int]:
        """The names in a folder with their sizes in bytes; none when there is no folder. Raises as ``names`` does."""
        found = dict[str, int]()
        try:
            with self._asking(folder) as sftp:
                for entry in sftp.listdir_iter(folder, read_aheads=8):
                    found[entry.filename] = int(entry.st_size or 0)
                    if len(found) > limit:
                        break
        except FileNotFoundError:
            return {}
        if len(found) > limit:
            raise RepositoryError(self._what(folder), _("more than {count} names are in it").format(count=limit))
        return found

    def get(self, path: str, limit: int = SMALL) -> bytes:
        """A small file's content. Raises FileNotFoundError, and RepositoryError when it is larger than ``limit``."""
        with self._asking(path) as sftp, sftp.open(path, "rb") as stream:
            content = stream.read(limit + 1)
        if len(content) > limit:
            raise RepositoryError(self._what(path), _("it is too large"))
        return content

    def fetch(self, path: str, offset: int, length: int | None, limit: int) -> bytes:
        """A part of a file (None: to its end), asked for all at once: quick on a long line too. Shorter where the file
        is. Raises as ``get`` does."""
        with self._asking(path) as sftp, sftp.open(path, "rb") as stream:
            size = stream.stat().st_size or 0
            end = size if length is None else min(size, offset + length)
            if end - offset > limit:
                raise RepositoryError(self._what(path), _("it is too large"))
            if end <= offset:
                return b""
            pieces = [(at, min(_PIECE, end - at)) for at in range(offset, end, _PIECE)]
            return b"".join(stream.readv(pieces, max_concurrent_prefetch_requests=_AT_ONCE))

    def put(self, path: str, content: bytes) -> None:
        """Write a small file whole: under another name first, then renamed over what is there."""
        temporary = f"{path}.{secrets.token_hex(6)}"
        with self._asking(path) as sftp:
            try:
                self._write_new(sftp, temporary, content)
                sftp.posix_rename(temporary, path)
            except OSError:
                with contextlib.suppress(OSError, EOFError):
                    sftp.remove(temporary)
                raise

    def create(self, path: str, content: bytes) -> None:
        """Write a new small file whole, under another name first. What is there already is never touched: that is a
        RepositoryError, like every other refusal."""
        temporary = posixpath.join(posixpath.dirname(path), f".{posixpath.basename(path)}.{secrets.token_hex(6)}")
        with self._asking(path) as sftp:
            try:
                self._write_new(sftp, temporary, content)
                # Not posix-rename, which replaces: OpenSSH makes a hard link for this one, and that is exclusive.
                sftp.rename(temporary, path)
            except FileNotFoundError as error:
                raise RepositoryError(self._what(path), _("its folder is not there")) from error
            except OSError:
                with contextlib.suppress(OSError, EOFError):
                    sftp.remove(temporary)
                raise

    def make_folders(self, path: str) -> None:
        """Make a folder, and those above it, where they are missing."""
        if path in ("", "/", ".") or self.exists(path):
            return
        self.make_folders(posixpath.dirname(path))
        try:
            with self._asking(path) as sftp:
                sftp.mkdir(path)
        except FileNotFoundError as error:
            raise RepositoryError(self._what(path), _("its folder is not there")) from error
        except RepositoryError:
            if not self.exists(path):  # somebody else has made it meanwhile
                raise

    def absolute(self, path: str) -> str:
        """The path from the server's root, with links resolved."""
        with self._asking(path) as sftp:
            return sftp.normalize(path or ".")

    def attempt(self, path: str, action: Callable[[paramiko.SFTPClient], object]) -> bool:
        """Try something that the server should refuse: True when it was done. Raises UnreachableError."""
        try:
            with self._asking(path) as sftp:
                action(sftp)
        except (RepositoryError, FileNotFoundError):
            return False
        return True

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is fine."""
        with contextlib.suppress(FileNotFoundError), self._asking(path) as sftp:
            sftp.remove(path)

    def space(self, path: str) -> Space | None:
        """Room where ``path`` lies (or will); None when the server cannot tell (no statvfs@openssh.com)."""
        with self._asking(path) as sftp:
            place = self.nearest(path)
            try:
                # paramiko has no method for extensions; `_request` is what its own methods are made of.
                number, reply = sftp._request(_EXTENDED, "statvfs@openssh.com", place)  # type: ignore[attr-defined]
            except PermissionError:
                raise
            except OSError:
                return None
            if number != _EXTENDED_REPLY:
                return None
        values = [int(reply.get_int64()) for _field in range(11)]
        unit = values[1] or values[0]
        return Space(values[4] * unit, values[2] * unit, bool(values[9] & _READ_ONLY_FLAG))

    def nearest(self, path: str) -> str:
        """The path, or the nearest folder above it that is there."""
        while path not in ("", "/", ".") and not self.exists(path):
            path = posixpath.dirname(path)
        return path or "."

    def probe(self, folder: str) -> float:
        """Write a file, look at it and remove it; the server's clock minus ours in seconds (whole ones).

        Raises RepositoryError when any of it is refused.
        """
        path = posixpath.join(folder, f".vaultd-probe-{secrets.token_hex(6)}")
        with self._asking(folder) as sftp:
            try:
                self._write_new(sftp, path, b"vaultd looks whether it may write here\n")
                now = time.time()
                written = sftp.stat(path).st_mtime
            finally:
                with contextlib.suppress(FileNotFoundError, EOFError):
                    sftp.remove(path)
        return float(round((written or now) - now))

    @staticmethod
    def _write_new(sftp: paramiko.SFTPClient, path: str, content: bytes) -> None:
        with sftp.open(path, "wx") as stream:
            stream.write(content)
