"""A fast lane for many express snapshots: one ``restic mount`` and copies out of it, instead of a restic for each.

Every restic derives the key, reaches the server and reads the index anew, a second or more, for the few files of an
express snapshot. The lane is only ever a short cut: where it cannot be had, or a copy of a snapshot does not go well in
every respect, the snapshot is restored by restic as always. ``cp`` keeps what a restore must bring back
(tests/test_restore_lane.py compares both), and blobs are checked by restic as it reads them.

A mount ends with the restore. One that a killed vaultd has left is taken away by the next that uses the lane.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vaultd.model import SnapshotKind, StoredSnapshot
from vaultd.names import join
from vaultd.restic import process
from vaultd.restic.repository import PATH
from vaultd.restore import workplace
from vaultd.restore.engine import Engine, Ran, source_of
from vaultd.restore.plan import Plan

log = logging.getLogger(__name__)

LEAST = 8
"""Fewer express snapshots are not worth a mount."""

AHEAD = 8
"""So many are copied ahead of the one that is merged."""

MOUNT_SECONDS = 120.0
IDLE_SECONDS = 3600.0
PREFIX = "vaultd-mount-"
COPY = (
    "cp", "-R", "-d", "--preserve=mode,ownership,timestamps,links,xattr", "--sparse=always", "--no-target-directory",
)  # fmt: skip


def worth_it(plan: Plan) -> bool:
    """Whether a plan has so many express snapshots that a mount pays, and this machine can have one."""
    able = os.geteuid() == 0 and os.path.exists("/dev/fuse") and shutil.which("fusermount", path=PATH)
    return bool(able) and not plan.paths and len(plan.over) >= LEAST


@dataclass(slots=True)
class Lane:
    """``async with Lane(...) as lane``; then ``take`` the snapshots in the order of ``snapshots``. ``folder``: a
    private one in the file system that is restored to."""

    engine: Engine
    snapshots: Sequence[StoredSnapshot]
    folder: Path
    _mount: Path | None = None
    _serving: asyncio.Task[process.Finished] | None = None
    _copies: dict[str, asyncio.Task[Ran | None]] = field(default_factory=dict)
    _removals: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> Lane:
        await asyncio.to_thread(_take_away_dead)
        workplace.remove(self.folder)
        self.folder.mkdir(mode=0o700)
        self._mount = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        vault = self.snapshots[0].vault
        args = ["mount", "--path-template", "%I", "--tag", f"vaultd,vault={vault},kind={SnapshotKind.EXPRESS.value}"]
        args = [*(["--retry-lock=30s"] if self.engine.lock else ["--no-lock"]), *args, str(self._mount)]
        self._serving = asyncio.create_task(
            process.run(self.engine.repository, args, marker=f"{self.engine.marker}-mount", stall=IDLE_SECONDS)
        )
        until = time.monotonic() + MOUNT_SECONDS
        # Whether something is mounted there can only be looked at, not awaited.
        while not self._serving.done() and not os.path.ismount(self._mount) and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return self

    async def __aexit__(self, *_error: object) -> None:
        for copy in self._copies.values():
            copy.cancel()
        await asyncio.gather(*self._copies.values(), *self._removals, return_exceptions=True)
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        if self._mount is not None:
            await asyncio.to_thread(_take_away, self._mount)

    async def take(self, snapshot: StoredSnapshot, to: Path) -> Ran | None:
        """Put a snapshot's content in the new folder ``to``, just as a restore would. None: it must be restored."""
        if self._mount is None or not os.path.ismount(self._mount):
            return None
        at = next((place for place, one in enumerate(self.snapshots) if one.id == snapshot.id), -1)
        if at < 0:
            return None
        for one in self.snapshots[at : at + AHEAD]:
            if one.id not in self._copies:
                self._copies[one.id] = asyncio.create_task(self._copy(one))
        copied = await self._copies[snapshot.id]
        self._copies.pop(snapshot.id)
        if copied is not None:
            (self.folder / snapshot.id).rename(to)
        return copied

    def discard(self, left: Path) -> None:
        """Remove what a merge has left of a copy, beside the next ones."""
        aside = self.folder / f"left-{len(self._removals)}"
        left.rename(aside)
        self._removals.append(asyncio.create_task(asyncio.to_thread(workplace.remove, aside)))

    async def _copy(self, snapshot: StoredSnapshot) -> Ran | None:
        assert self._mount is not None  # noqa: S101
        source, into = source_of(snapshot), self.folder / snapshot.id
        if not source.name:
            return None
        into.mkdir(mode=0o700)
        mounted = join(join(bytes(self._mount / snapshot.id), source.above.strip(b"/")), source.name)
        copy = await asyncio.create_subprocess_exec(
            *COPY, "--", mounted.replace(b"//", b"/"), join(bytes(into), source.name),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            _out, said = await copy.communicate()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                copy.kill()
            await copy.wait()
            raise
        if copy.returncode or said:
            log.info("snapshot %s is restored by restic: cp ended with %s", snapshot.id[:8], copy.returncode)
            await asyncio.to_thread(workplace.remove, into)
            return None
        counted = await asyncio.to_thread(_counted, bytes(into))
        if counted is None:
            await asyncio.to_thread(workplace.remove, into)
        return counted


def _counted(folder: bytes) -> Ran | None:
    """How much was copied, counted as restic does: folders among the files. None where there is something that a mount
    does not show as it is: restic 0.18 has devices there without their numbers and attributes."""
    ran = Ran()
    for top, folders, names in os.walk(folder):
        ran.files += len(folders) + len(names)
        for name in names:
            found = os.lstat(join(top, name))
            if not (stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode) or stat.S_ISFIFO(found.st_mode)):
                return None
            ran.bytes += found.st_size
    ran.files_total, ran.bytes_total = ran.files, ran.bytes
    return ran


def _take_away(mount: Path) -> None:
    if os.path.ismount(mount) or not os.path.exists(mount):  # also one whose restic is dead
        subprocess.run(["umount", "--lazy", str(mount)], check=False, capture_output=True)
    with contextlib.suppress(OSError):
        mount.rmdir()


def _take_away_dead() -> None:
    """Mounts that a killed vaultd has left."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = left.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdecimal() and not os.path.exists(f"/proc/{pid}"):
            _take_away(left)
