"""A folder's own metadata: taken from one folder, noted as JSON, put on another.

restic restores the metadata of everything *below* the folder that is asked for, never of that folder itself. So the
vault's root is restored once more, from its parent and without its content, and its metadata is carried over from there
by this module (see ``engine.root_metadata``). The same is done for folders that an express snapshot brings newer.

Measured with restic 0.18.0 on ext4, as root: uid and gid are restored as numbers (user names in the snapshot are not
looked up), with setuid, setgid and sticky bits (mode is set after the owner), times to the nanosecond, user.*,
trusted.* and security.* attributes, and ACLs, which are the attributes ``system.posix_acl_*``. As another user restic
leaves owners out without a word, and restores the setuid bit all the same.
"""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Metadata:
    """``mode`` has the permission bits with setuid, setgid, sticky; times in nanoseconds."""

    mode: int
    uid: int
    gid: int
    mtime: int
    xattrs: tuple[tuple[str, bytes], ...]

    def as_json(self) -> dict[str, Any]:
        """For the marker of an unfinished restore."""
        xattrs = {name: base64.b64encode(value).decode("ascii") for name, value in self.xattrs}
        return {"mode": self.mode, "uid": self.uid, "gid": self.gid, "mtime": self.mtime, "xattrs": xattrs}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Metadata:
        """The inverse of ``as_json``."""
        xattrs = tuple((name, base64.b64decode(value)) for name, value in found["xattrs"].items())
        return cls(found["mode"], found["uid"], found["gid"], found["mtime"], xattrs)


def read(path: bytes) -> Metadata:
    """The metadata of a folder (of the folder itself, if ``path`` is a symbolic link to one: an OSError)."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(handle)
        try:
            names = os.listxattr(handle)
        except OSError:  # a file system without them
            names = []
        xattrs = tuple((name, os.getxattr(handle, name)) for name in names)
        return Metadata(stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns, xattrs)
    finally:
        os.close(handle)


def write(path: bytes, metadata: Metadata) -> list[str]:
    """Give a folder this metadata; returns what could not be done, one text each (OSError's own).

    The order matters: a change of owner drops setuid bits, so the mode follows it; an ACL rewrites the group's bits of
    the mode, so it follows the mode; the time is last. Only root can give files away: as another user, an owner that
    cannot be set is no fault, as with restic.
    """
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return give(handle, metadata)
    finally:
        os.close(handle)


def give(handle: int, metadata: Metadata) -> list[str]:
    """The same for an open file or folder."""
    problems: list[str] = []
    try:
        os.fchown(handle, metadata.uid, metadata.gid)
    except PermissionError as error:
        if os.geteuid() == 0:
            problems.append(str(error))
    _try(problems, lambda: os.fchmod(handle, metadata.mode))
    problems += _write_xattrs(handle, metadata)
    # The access time is not restored: like restic, it gets the value of mtime.
    _try(problems, lambda: os.utime(handle, ns=(metadata.mtime, metadata.mtime)))
    return problems


def give_link(path: bytes, metadata: Metadata) -> list[str]:
    """The same for a symbolic link, which has no mode of its own."""
    problems: list[str] = []
    try:
        os.lchown(path, metadata.uid, metadata.gid)
    except PermissionError as error:
        if os.geteuid() == 0:
            problems.append(str(error))
    for name, value in metadata.xattrs:
        _try(problems, lambda name=name, value=value: os.setxattr(path, name, value, follow_symlinks=False))
    _try(problems, lambda: os.utime(path, ns=(metadata.mtime, metadata.mtime), follow_symlinks=False))
    return problems


def _write_xattrs(handle: int, metadata: Metadata) -> list[str]:
    problems: list[str] = []
    wanted = dict(metadata.xattrs)
    try:
        present = {name: os.getxattr(handle, name) for name in os.listxattr(handle)}
    except OSError as error:
        return [str(error)] if wanted else []
    for name in present.keys() - wanted.keys():
        # A label like security.selinux belongs to the machine, not to the backup, when the backup has none.
        if not name.startswith("security."):
            _try(problems, lambda name=name: os.removexattr(handle, name))
    for name, value in wanted.items():
        if present.get(name) != value:
            _try(problems, lambda name=name, value=value: os.setxattr(handle, name, value))
    return problems


def _try(problems: list[str], action: Any) -> None:
    try:
        action()
    except OSError as error:
        problems.append(str(error))
