"""The words of the design as frozen values: what is seen on disk, what changed, what was stored, how far it is."""

from __future__ import annotations

import os
import stat as stat_module
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class SnapshotKind(StrEnum):
    """Full: the whole vault, exact. Express: just changed files. Dump: the output of a dump command."""

    FULL = "full"
    EXPRESS = "express"
    DUMP = "dump"


class FileKind(StrEnum):
    """What a directory entry is. ``OTHER`` is a FIFO, socket or device."""

    FILE = "f"
    DIRECTORY = "d"
    SYMLINK = "l"
    OTHER = "o"


class Stat(NamedTuple):
    """What ``lstat`` said of a path. Times are nanoseconds since 1970; ``mode`` has the permission bits only.

    A named tuple, for it is made and compared a million times in a scan: half the time of a frozen dataclass.
    """

    kind: FileKind
    inode: int
    size: int
    mtime: int
    ctime: int
    mode: int
    uid: int
    gid: int

    @classmethod
    def of(cls, found: os.stat_result) -> Stat:
        """From the result of ``os.lstat``."""
        mode = found.st_mode
        kind = _KINDS.get(mode & 0o170000, FileKind.OTHER)
        size = found.st_size if kind is FileKind.FILE else 0
        return cls(
            kind, inode_of(found), size, found.st_mtime_ns, found.st_ctime_ns, mode & 0o7777, found.st_uid,
            found.st_gid,
        )  # fmt: skip

    def same_content(self, other: Stat | None) -> bool:
        """Whether inode, size, mtime and ctime agree: nothing wrote in between (mmap writers can defeat it)."""
        return other is not None and self[:5] == other[:5]


def inode_of(found: os.stat_result) -> int:
    """The inode's number, as 64 bits with a sign: SQLite's integers end at 2**63 - 1, and file systems that make up
    theirs (mergerfs, CIFS) use all 64 bits."""
    return signed(found.st_ino)


def signed(number: int) -> int:
    """64 bits without a sign, such as an inode's number in restic's output, as those with one."""
    return number if number < 1 << 63 else number - (1 << 64)


_KINDS = {
    stat_module.S_IFREG: FileKind.FILE,
    stat_module.S_IFDIR: FileKind.DIRECTORY,
    stat_module.S_IFLNK: FileKind.SYMLINK,
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long run is: the same numbers on the terminal, in ``--json`` and in the API.

    ``phase``: "scan", "hash", "backup", "restore", "verify", "repair". Totals are 0 while unknown.
    ``rate`` is bytes a second over the last few seconds; ``seconds_left`` is None while unknown.
    """

    phase: str
    vault: str
    target: str
    kind: str
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    rate: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """A restic snapshot that vaultd made, as read from the repository.

    ``order`` is vaultd's own running number (first part of the change-set id): it keeps the order when a clock does
    not. ``time`` is nanoseconds since 1970. ``root`` is the vault's folder as bytes. ``original``: the id of the
    snapshot that this one was rewritten from, empty for most.
    """

    id: str
    order: int
    vault: str
    kind: SnapshotKind
    change_set: str
    time: int
    host: str
    root: bytes
    tree: str
    files: int
    bytes: int
    dump_of: str = ""
    dump_name: str = ""
    original: str = ""
