"""What tests of restore share: a folder with everything that is hard to bring back, and a repository to store it in."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.quick_repository import quick_repository
from vaultd.model import SnapshotKind, StoredSnapshot
from vaultd.restic import commands
from vaultd.restic.process import Repository
from vaultd.restic.tags import new_change_set, tags_of
from vaultd.restore.plan import Plan, Request, choose
from vaultd.restore.result import Result
from vaultd.restore.run import Restore

ROOT = os.geteuid() == 0
VAULT = "patients"
HOST = "archive"

GBK = "病案".encode("gbk")
ODD_NAMES = [
    GBK + b".txt", b"new\nline", b"quote'\"q", b"-dash", b" blank ", b"we[ir]d*?", b"back\\slash", b"$HOME",
    b"\xff\xfe", "é病".encode(), b"n" * 255, b"#hash", b"~", b"...", b"colon:name", b"\x1b[31m",
]  # fmt: skip

_ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *entry)
    for entry in [(1, 7, 2**32 - 1), (2, 4, 1000), (4, 5, 2**32 - 1), (16, 7, 2**32 - 1), (32, 0, 2**32 - 1)]
)


def write(path: Path | bytes, content: bytes | str, *, mtime: int | None = None) -> None:
    """Write a file, with its folders."""
    raw = os.fsencode(path)
    os.makedirs(os.path.dirname(raw), exist_ok=True)
    with open(raw, "wb") as stream:
        stream.write(content.encode() if isinstance(content, str) else content)
    if mtime is not None:
        os.utime(raw, ns=(mtime, mtime))


def hard_to_restore(root: Path) -> None:
    """Fill a new folder with everything that a restore must bring back."""
    top = bytes(root)
    for name in [*ODD_NAMES, b"weird", b"backXslash"]:
        write(os.path.join(top, b"names", name), name)
    write(os.path.join(top, b"folder " + GBK, b"inside \xff"), "in a GBK folder")
    write(root / "plain.txt", "plain", mtime=981173106_123456789)
    write(root / "empty", b"")
    (root / "links").mkdir()
    os.link(root / "plain.txt", root / "hard")
    os.link(root / "plain.txt", root / "links" / "hard")
    os.symlink("plain.txt", root / "symlink")
    os.symlink(b"/nonexistent/\xff", os.path.join(top, b"dangling"))
    os.symlink("loop", root / "loop")
    (root / "empty folder").mkdir()
    os.mkfifo(root / "fifo")
    with open(root / "sparse", "wb") as stream:
        stream.truncate(40_000_000)
        stream.seek(30_000_000)
        stream.write(b"in the middle")
    os.setxattr(root / "plain.txt", "user.note", b"\x00binary\xff")
    os.setxattr(root / "links", "user.folder", b"folder")
    os.setxattr(root, "user.root", b"root")
    deep = root
    for _level in range(12):
        deep = deep / ("d" * 200)
    deep.mkdir(parents=True)
    write(deep / "bottom", "deep")
    write(root / "read-only" / "file", "r")
    if ROOT:
        _only_root_can(root)
    os.utime(root / "empty folder", ns=(1_000_000_001, 1_000_000_001))
    os.utime(root / "symlink", ns=(1_000_000_002, 1_000_000_002), follow_symlinks=False)
    os.chmod(root / "read-only" / "file", 0o400)
    os.chmod(root / "read-only", 0o555)
    os.chmod(root, 0o2751 if ROOT else 0o751)
    os.utime(root, ns=(1_075_781_106_111111111, 1_075_781_106_111111111))


def _only_root_can(root: Path) -> None:
    write(root / "setuid", "s")
    os.chown(root / "setuid", 1234, 4321)
    os.chmod(root / "setuid", 0o6755)
    os.chown(root / "links", 77, 88)
    os.lchown(root / "symlink", 5, 6)
    os.chown(root, 77, 88)
    os.setxattr(root / "plain.txt", "trusted.note", b"trusted")
    os.setxattr(root / "plain.txt", "system.posix_acl_access", _ACL)
    os.setxattr(root / "links", "system.posix_acl_default", _ACL)
    os.setxattr(root, "system.posix_acl_access", _ACL)
    os.setxattr(root, "system.posix_acl_default", _ACL)
    os.mknod(root / "device", 0o20600, os.makedev(1, 3))


class Stored:
    """A local repository, and a vault's folder whose snapshots are made by restic and our tags alone."""

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.root = root or folder / "vault"
        self.root.mkdir(parents=True, exist_ok=True)
        password = folder / "password"
        password.write_text("secret\n")
        self.path = folder / "repository"
        self.repository = Repository(str(self.path), password, folder / "cache")
        self.order = 0
        quick_repository(self.path, password)

    def full(self, **choices: Any) -> str:
        """A full snapshot; returns its id."""
        return self._backup(SnapshotKind.FULL, [bytes(self.root)], None, **choices)

    def express(self, *files: str | bytes, **choices: Any) -> str:
        """An express snapshot of some files."""
        listed = self.path.parent / "listed"
        listed.write_bytes(b"\0".join(os.path.join(bytes(self.root), os.fsencode(name)) for name in files) + b"\0")
        return self._backup(SnapshotKind.EXPRESS, [], listed, **choices)

    def batch(self, *folders: str, **choices: Any) -> str:
        """A batch of a first protection: whole sub-folders, as an express snapshot."""
        return self._backup(SnapshotKind.EXPRESS, [bytes(self.root / name) for name in folders], None, **choices)

    def dump(self, name: str, content: str, of: str = "") -> str:
        """A dump snapshot."""
        self.order += 1
        tags = tags_of(VAULT, SnapshotKind.DUMP, new_change_set(self.order), bytes(self.root), dump=name, dump_of=of)
        done = asyncio.run(
            commands.backup_command(
                self.repository, ["printf", "%s", content], stdin_filename=f"{name}.sql", host=HOST, tags=tags
            )
        )
        assert done.snapshot_id
        return done.snapshot_id

    def _backup(
        self, kind: SnapshotKind, roots: Sequence[bytes], listed: Path | None, *,
        order: int | None = None, time: datetime | None = None, vault: str = VAULT, host: str = HOST,
    ) -> str:  # fmt: skip
        self.order = self.order + 1 if order is None else order
        tags = tags_of(vault, kind, new_change_set(self.order), bytes(self.root))
        done = asyncio.run(
            commands.backup(self.repository, roots=roots, files_from=listed, host=host, tags=tags, time=time)
        )
        assert done.snapshot_id and not done.errors
        return done.snapshot_id

    def listed(self) -> list[StoredSnapshot]:
        """The snapshots in the repository."""
        return asyncio.run(commands.snapshots(self.repository))

    def plan(self, **choices: Any) -> Plan:
        """The plan of a restore."""
        return choose(self.listed(), Request(VAULT, **choices), "offsite")

    def restore(self, to: Path, plan: Plan | None = None, **choices: Any) -> Result:
        """Plan, and carry it out."""
        restoring = {
            name: choices.pop(name)
            for name in ("overwrite", "check_space", "delays", "on_progress", "lock")
            if name in choices
        }
        return asyncio.run(Restore(self.repository, plan or self.plan(**choices), to, **restoring).run())


def at(hour: int, minute: int = 0) -> datetime:
    """A moment of a day on which the tests' snapshots were made."""
    return datetime(2026, 11, 22, hour, minute, tzinfo=UTC)


def nanoseconds(moment: datetime) -> int:
    """As vaultd keeps it."""
    return int(moment.timestamp()) * 1_000_000_000
