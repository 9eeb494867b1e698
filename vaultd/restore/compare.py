"""Compare a restored folder with another one, or with what was noted of a folder before it was lost.

``describe`` notes everything that a restore must bring back; ``differences`` tells what two notes disagree in.

Left out, because restic does not store or cannot restore it: sockets; access and change times; inode numbers; the size
of a directory as its file system counts it; which blocks of a sparse file are holes (but ``sparse`` says whether a file
takes much less room than its size).
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from vaultd.i18n import _
from vaultd.names import display, join

CHUNK = 1024 * 1024
_KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo", stat.S_IFCHR: "character device", stat.S_IFBLK: "block device",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """What a restore must bring back of one path. ``mtime`` in nanoseconds; ``sha256`` of files, hexadecimal.

    ``linked`` names the first path (in byte order) that is the same file by hard link: itself, when it has no other
    inside the folder. ``device`` is the number of a device file. ``xattrs`` includes ACLs.
    """

    kind: str
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int = 0
    sha256: str = ""
    link_target: bytes = b""
    linked: bytes = b""
    device: int = 0
    xattrs: tuple[tuple[str, bytes], ...] = ()
    sparse: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement. ``what``: "missing", "extra", "error", or the name of a field of ``Entry``."""

    path: bytes
    what: str
    expected: object = None
    found: object = None

    def __str__(self) -> str:
        shown = display(self.path) or "."
        if self.what == "missing":
            return _("{path}: missing").format(path=shown)
        if self.what == "extra":
            return _("{path}: was not there before").format(path=shown)
        return _("{path}: {what} is {found}, not {expected}").format(
            path=shown, what=self.what, found=_value(self.what, self.found), expected=_value(self.what, self.expected)
        )


def _value(what: str, value: object) -> str:
    if what == "mode" and isinstance(value, int):
        return f"{value:04o}"
    return display(value) if isinstance(value, bytes) else str(value)


def describe(root: Path | bytes, *, content: bool = True) -> dict[bytes, Entry]:
    """Every path below ``root`` (``b""`` is the folder itself) except sockets, by its bytes.

    ``content`` False leaves out the SHA-256, and is fast. Raises OSError where something cannot be read.
    """
    top = os.fsencode(root)
    found: dict[bytes, Entry] = {}
    first: dict[tuple[int, int], bytes] = {}
    for relative, status in sorted(_walk(top)):
        linked = b""
        if not stat.S_ISDIR(status.st_mode):
            linked = first.setdefault((status.st_dev, status.st_ino), relative)
        found[relative] = _entry(join(top, relative), status, linked, content, found.get(linked))
    return found


def _walk(top: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    yield b"", os.lstat(top)
    folders = [b""]
    while folders:
        folder = folders.pop()
        with os.scandir(join(top, folder)) as entries:
            for entry in entries:
                relative = join(folder, entry.name) if folder else entry.name
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISSOCK(status.st_mode):
                    continue
                yield relative, status
                if stat.S_ISDIR(status.st_mode):
                    folders.append(relative)


def _entry(path: bytes, status: os.stat_result, linked: bytes, content: bool, same: Entry | None) -> Entry:
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "other")
    sha256, sparse, size = "", False, 0
    if kind == "file":
        size = status.st_size
        sparse = status.st_blocks * 512 + 65536 < size
        if content:
            sha256 = same.sha256 if same else _sha256(path)
    return Entry(
        kind=kind, mode=stat.S_IMODE(status.st_mode), uid=status.st_uid, gid=status.st_gid, mtime=status.st_mtime_ns,
        size=size, sha256=sha256, link_target=os.readlink(path) if kind == "symlink" else b"", linked=linked,
        device=status.st_rdev if kind.endswith("device") else 0, xattrs=_xattrs(path), sparse=sparse,
    )  # fmt: skip


def _xattrs(path: bytes) -> tuple[tuple[str, bytes], ...]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:  # a file system without them
        return ()
    return tuple(sorted((name, os.getxattr(path, name, follow_symlinks=False)) for name in names))


def _sha256(path: bytes) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def differences(
    expected: Mapping[bytes, Entry], found: Mapping[bytes, Entry], *, ignore: frozenset[str] = frozenset({"sparse"})
) -> list[Difference]:
    """Where ``found`` is not as ``expected``, in byte order of the paths.

    ``ignore`` names fields of ``Entry`` that may differ: by default whether a file takes less room than its size, since
    restic leaves out every long run of zeros (with --sparse), whether the original did or not.
    """
    names = [field.name for field in fields(Entry) if field.name not in ignore]
    result = []
    for path in sorted(expected.keys() | found.keys()):
        left, right = expected.get(path), found.get(path)
        if right is None:
            result.append(Difference(path, "missing"))
        elif left is None:
            result.append(Difference(path, "extra"))
        elif left.kind != right.kind:
            result.append(Difference(path, "kind", left.kind, right.kind))
        else:
            result += [
                Difference(path, name, getattr(left, name), getattr(right, name))
                for name in names
                if getattr(left, name) != getattr(right, name)
            ]
    return result


def compare(expected: Path | bytes, found: Path | bytes) -> list[Difference]:
    """Compare two folders, content and all. Empty when the second is as the first."""
    return differences(describe(expected), describe(found))
