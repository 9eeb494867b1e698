"""What is mounted where, read from /proc/self/mountinfo: mounts inside a vault, and file systems that report no
changes.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")

# Others may change these without this kernel hearing of it.
NETWORK = frozenset(
    b"9p afs beegfs ceph cifs coda gfs gfs2 glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs pvfs2 smb2 smb3 smbfs "
    b"vboxsf virtiofs vmhgfs".split()
)


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of mountinfo. ``root`` is the folder of the file system that is mounted (a bind mount's source)."""

    id: int
    parent: int
    device: str
    root: bytes
    path: bytes
    type: bytes
    source: bytes
    options: bytes = b""
    """Those of the file system ("lowerdir=..."), escaped as in the file."""

    @property
    def network(self) -> bool:
        """Whether others may change it unheard. A FUSE file system may be anything, so it counts unless it is on a
        block device.
        """
        return self.type in NETWORK or self.type == b"fuse" or self.type.startswith(b"fuse.")


def parse(text: bytes) -> list[Mount]:
    """The mounts of a mountinfo text that can be reached, in its order; of several at one path the uppermost."""
    found: dict[bytes, Mount] = {}
    inside = Counter[bytes]()  # how many of them are below a folder: of 4,096 mounts few have any
    for line in text.splitlines():
        left, _dash, right = line.partition(b" - ")
        fields, tail = left.split(b" "), right.split(b" ")
        if len(fields) < 6 or len(tail) < 2:
            continue
        mount = Mount(
            int(fields[0]), int(fields[1]), fields[2].decode(), unescape(fields[3]), unescape(fields[4]), tail[0],
            unescape(tail[1]), tail[2] if len(tail) > 2 else b"",
        )  # fmt: skip
        for path in [path for path in found if _is_below(path, mount.path)] if inside[mount.path] else ():
            if found[path].parent != mount.id:  # a later mount over a folder hides what was mounted below it
                del found[path]
                inside.subtract(_folders_of(path))
        if mount.path not in found:
            inside.update(_folders_of(mount.path))
        found[mount.path] = mount
    return list(found.values())


def current() -> list[Mount]:
    """The mounts of this process. Raises OSError when /proc is not there."""
    return parse(MOUNTINFO.read_bytes())


def mount_of(path: bytes, mounts: Iterable[Mount] | None = None) -> Mount | None:
    """The mount that an absolute path lies on."""
    holding = [mount for mount in _or_current(mounts) if path == mount.path or _is_below(path, mount.path)]
    return max(holding, key=lambda mount: len(mount.path), default=None)


def mounts_below(root: bytes, mounts: Iterable[Mount] | None = None) -> dict[bytes, Mount]:
    """The mounts inside a folder, by their path relative to it."""
    start = len(root.rstrip(b"/")) + 1
    return {mount.path[start:]: mount for mount in _or_current(mounts) if _is_below(mount.path, root)}


def is_network(path: bytes, mounts: Iterable[Mount] | None = None) -> bool:
    """Whether a path lies on a file system that others may change unheard."""
    mount = mount_of(path, mounts)
    return mount is not None and mount.network


def needs_poll(root: bytes) -> bool:
    """Whether a folder, or anything mounted inside it, must be polled."""
    mounts = current()
    return is_network(root, mounts) or any(mount.network for mount in mounts_below(root, mounts).values())


def identity(mount: Mount) -> str:
    """What stays the same as long as the same file system is mounted: type, file system, and the folder of it.

    Device numbers and loop devices change with every boot, so a UUID is taken where one can be had. A tmpfs is another
    one each time that it is mounted. Never waits for a network.
    """
    return ":".join(
        [mount.type.decode("ascii", "replace"), _file_system(mount), mount.root.decode("utf-8", "backslashreplace")]
    )


def _file_system(mount: Mount) -> str:
    source = mount.source.decode("utf-8", "backslashreplace")
    if mount.network:
        return source
    uuid = _uuid_of(mount.device)
    if uuid:
        return uuid
    if mount.type.startswith(b"ext") or mount.type == b"tmpfs":  # their fsid is made from their UUID
        try:
            return f"fsid={os.statvfs(mount.path).f_fsid:x}"
        except OSError:
            return source
    return _backing_file(mount.device) or source


def _uuid_of(device: str) -> str:
    try:
        with os.scandir("/dev/disk/by-uuid") as entries:
            for entry in entries:
                number = os.stat(entry.path).st_rdev
                if device == f"{os.major(number)}:{os.minor(number)}":
                    return f"uuid={entry.name}"
    except OSError:
        pass  # no udev here (a container): the other ways remain
    return ""


def _backing_file(device: str) -> str:
    try:
        return "file=" + Path(f"/sys/dev/block/{device}/loop/backing_file").read_text().strip()
    except (OSError, ValueError):
        return ""


def _or_current(mounts: Iterable[Mount] | None) -> Iterable[Mount]:
    return current() if mounts is None else mounts


def _is_below(path: bytes, folder: bytes) -> bool:
    return path != folder and path.startswith(folder.rstrip(b"/") + b"/")


def _folders_of(path: bytes) -> list[bytes]:
    """All folders above a path, "/" among them."""
    parts = path.rstrip(b"/").split(b"/")
    return [b"/".join(parts[:count]) or b"/" for count in range(1, len(parts))]


def unescape(field: bytes) -> bytes:
    """A field of mountinfo as it was before the kernel wrote spaces and the like in octal."""
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), field)
