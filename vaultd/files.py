"""Ways to write a file durably, each fsyncing the file and its directory.

``create_exclusive``   fails when the file exists.
``create_idempotent``  accepts an existing file of the same content, refuses another.
``create_many``        the same for many files at once, several times as fast.
``replace``            puts new content in place of old, atomically.
``sync_filesystem``    does so for everything that any program has written there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def fsync_directory(path: Path) -> None:
    """Make the directory's entries durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_filesystem(path: Path) -> None:
    """Make everything on a folder's file system durable: what is reported as done then survives a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), os.fspath(path))
    finally:
        os.close(handle)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    with open(os.open(path, _NEW, mode), "wb") as stream:
        os.fchmod(stream.fileno(), mode)  # the mode as said, whatever the umask
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def create_exclusive(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a new file. Raises FileExistsError when it is there, and leaves nothing half-written under its name."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    _write_new(temporary, content, mode)
    try:
        os.link(temporary, path)
    finally:
        temporary.unlink()
    fsync_directory(path.parent)


def create_idempotent(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a new file, or accept one that has this very content. Raises FileExistsError when it has another."""
    try:
        create_exclusive(path, content, mode)
    except FileExistsError:
        if path.read_bytes() != content:
            raise


def replace(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put new content in place of old: readers see the old file or the new one, whole."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        _write_new(temporary, content, mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    fsync_directory(path.parent)


def make_private_directory(path: Path, mode: int = 0o700) -> None:
    """Make a directory and its missing parents, each with ``mode``. Existing ones are left as they are."""
    if path.is_dir():
        return
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        folder.chmod(mode)
        fsync_directory(folder.parent)


def create_many(temporaries: Path, contents: Iterable[tuple[Path, bytes]], mode: int = 0o600) -> None:
    """Write many new files, or accept those that have their very content; durable when this returns.

    The bytes go into ``temporaries``, a folder of the same file system, and get their names once they are durable; so a
    crash leaves nothing half-written. Raises FileExistsError for a file with another content.
    """
    waiting, folders = list[tuple[Path, Path, bytes]](), dict[Path, None]()
    for number, (path, content) in enumerate(contents):
        temporary = temporaries / f"new.{number}"
        temporary.unlink(missing_ok=True)
        with open(os.open(temporary, _NEW, mode), "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(content)
        waiting.append((temporary, path, content))
    for temporary, _path, _content in waiting:  # after all are written: one commit of the journal then serves many
        handle = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    for temporary, path, content in waiting:
        make_private_directory(path.parent)
        try:
            os.link(temporary, path)
        except FileExistsError:
            if path.read_bytes() != content:
                raise
        temporary.unlink()
        folders[path.parent] = None
    for folder in folders:
        fsync_directory(folder)
