"""Bring content from elsewhere into a damaged repository: a backup of it stores the blobs that are missing.

Whether it was the right content is not asked here: a blob is the right one or it is another. What was missing and is
there afterwards is mended, for every snapshot that needs it.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from vaultd import files
from vaultd.errors import VaultdError
from vaultd.i18n import _
from vaultd.model import SnapshotKind, StoredSnapshot
from vaultd.names import display, replaced
from vaultd.restic import commands
from vaultd.restic.commands.mend import Lacking, fetch
from vaultd.restic.process import Repository
from vaultd.retain.place import Place
from vaultd.units import size

HOST, TAG = "vaultd-repair", "vaultd-repair"
"""Of the snapshots that hold content until it is known to be in place: nobody else's, so none is a parent for them."""


async def from_live(place: Place, missing: Sequence[Lacking], work: Path) -> None:
    """Back up those of the missing files that are in the vault's folder now; all of it where a folder is missing."""
    root = place.root.rstrip(b"/")
    if not root or not os.path.isdir(root):
        return
    if any(one.folder for one in missing):
        await _store(place, roots=[root])
        return
    paths = sorted({one.path for one in missing if one.path.startswith(root + b"/") and _is_file(one.path)})
    if paths:
        listing = work / "live"
        files.create_exclusive(listing, b"".join(path + b"\0" for path in paths))
        await _store(place, listing=listing)
        listing.unlink()


def _is_file(path: bytes) -> bool:
    return os.path.isfile(path) and not os.path.islink(path)


async def from_target(
    place: Place, missing: Sequence[Lacking], snapshots: dict[str, StoredSnapshot], source: Repository,
    listed: Sequence[StoredSnapshot], work: Path, attempt: int,
) -> bool:  # fmt: skip
    """Restore the missing files from another target's snapshots and back them up here. ``attempt`` 0 takes the
    likeliest snapshot there, 1 the next likely one ... False when there is none of that number."""
    groups = dict[str, set[bytes]]()
    for one in missing:
        candidates = likely(snapshots[one.snapshot], listed)
        if attempt < len(candidates):
            groups.setdefault(candidates[attempt].id, set()).add(one.path)
    for snapshot, paths in groups.items():
        scratch = work / f"scratch-{secrets.token_hex(4)}"
        await _check_room(source, snapshot, paths, work)
        try:
            await fetch(source, snapshot, sorted(paths), scratch, work)
            if scratch.exists():
                await _store(place, roots=[bytes(scratch)])
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return bool(groups)


def likely(damaged: StoredSnapshot, listed: Sequence[StoredSnapshot]) -> list[StoredSnapshot]:
    """Where another target may have what a snapshot lacks, the likeliest first: the full snapshots around its time,
    then the express ones around it. By the clock, which is the same host's."""
    found = list[StoredSnapshot]()
    for kind in (SnapshotKind.FULL, SnapshotKind.EXPRESS):
        row = sorted((one for one in listed if one.kind is kind), key=lambda one: one.time)
        before = [one for one in row if one.time <= damaged.time]
        after = [one for one in row if one.time > damaged.time]
        found += [*before[-1:], *after[:1], *before[-2:-1], *after[1:2]]
    return found


async def _check_room(source: Repository, snapshot: str, paths: Iterable[bytes], work: Path) -> None:
    """Raise VaultdError where the files do not fit, before anything is fetched."""
    wanted = {replaced(path) for path in paths}
    needed = 0
    async for node in commands.ls(source, snapshot):
        if node.path in wanted or any(node.path.startswith(one + "/") for one in wanted):
            needed += node.size
    room = os.statvfs(work)
    free = room.f_bavail * room.f_frsize
    if needed > free:
        raise VaultdError(
            _("content cannot be fetched from the other target"),
            _("it needs {needed}, and {folder} has {free} free").format(
                needed=size(needed), folder=display(work), free=size(free)
            ),
            _("make room, or name another folder: --scratch DIR"),
        )


async def _store(place: Place, *, roots: Sequence[bytes] = (), listing: Path | None = None) -> None:
    with place.upkeep() as (marker, started):
        await commands.backup(
            place.repository, roots=roots, files_from=listing, host=HOST, tags=[TAG], marker=marker, started=started,
            stall=place.config.host.stall_seconds,
        )  # fmt: skip


async def remove_carriers(place: Place) -> None:
    """Remove the snapshots that held the content: what needed it has it now."""
    found = await commands.ids_tagged(place.repository, [TAG], host=HOST)
    if found:
        with place.upkeep() as (marker, started):
            await commands.forget_all(place.repository, found, marker=marker, started=started)
