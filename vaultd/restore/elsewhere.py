"""What one target could not give, taken from the others: file by file, and only where it is the same version.

A target that has lost pack files gives most of a snapshot. With the ledger at hand it is known which files belong to
it and what their SHA-256 is: every one that is missing or was not wholly restored is looked for in the snapshots of
the other targets, those nearest to the moment first, and put in place when its hash is the one on record. Without it
only the files that restic named are looked for, and what is put in place is listed as unconfirmed.

Nothing that was restored rightly is touched.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from vaultd.errors import VaultdError
from vaultd.model import SnapshotKind, StoredSnapshot
from vaultd.names import as_json, display, is_below, join, parent, replaced
from vaultd.restic import commands
from vaultd.restic.process import Repository
from vaultd.restore import metadata, workplace
from vaultd.restore.engine import Problem, source_of
from vaultd.restore.onrecord import OnRecord, digest_of
from vaultd.restore.result import LISTED, Outcome, Result

STAGE = f"{workplace.PREFIX}elsewhere"
MOST_SNAPSHOTS = 12
"""So many snapshots of a target are looked into at most, the nearest first."""

_MOST_PATHS = 300
"""So many paths go into one call of restic: a command line has an end."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that came from another target. ``confirmed``: its hash is the one on record."""

    path: bytes
    target: str
    snapshot: str
    confirmed: bool


@dataclass(slots=True)
class Elsewhere:
    """``lost``: what the first target could not give; ``taken`` from others; ``still``: what none has. ``failed``: the
    targets that could not be asked."""

    lost: list[bytes]
    taken: list[Taken] = field(default_factory=list)
    still: list[bytes] = field(default_factory=list)
    failed: dict[str, VaultdError] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For the object of ``restore`` (docs/json-restore.md)."""
        return {
            "lost": {"count": len(self.lost), "listed": [as_json(path) for path in self.lost[:LISTED]]},
            "taken": {
                "count": len(self.taken),
                "listed": [
                    as_json(one.path) | {"target": one.target, "snapshot": one.snapshot, "confirmed": one.confirmed}
                    for one in self.taken[:LISTED]
                ],
            },
            "still": {"count": len(self.still), "listed": [as_json(path) for path in self.still[:LISTED]]},
            "failed": [{"target": name, "error": error.as_json()} for name, error in self.failed.items()],
        }


@dataclass(frozen=True, slots=True)
class Other:
    """Another target: its repository, and the snapshots of the vault that it has."""

    name: str
    repository: Repository
    snapshots: Sequence[StoredSnapshot]


def lost(result: Result, known: OnRecord | None) -> list[bytes]:
    """The files that a restore should have brought and has not. Without a record: what restic named, files or
    folders."""
    named = {one.path for one in result.problems}
    if known is None:
        return sorted(_path_of(text) for text in named if text not in ("", "."))
    to = bytes(result.to)
    return sorted(
        path
        for path in known.sha256
        if (_is_named(path, named) or not os.path.lexists(join(to, path)))
        and not known.destroyed.covers(path, known.entry)  # what is gone on purpose is not brought from elsewhere
    )


def _is_named(path: bytes, named: Collection[str]) -> bool:
    """Whether restic named a path, or a folder above it."""
    while path:
        if display(replaced(path)) in named:
            return True
        path = parent(path)
    return False


def _path_of(text: str) -> bytes:
    """The path of a text for people; where that does not have every byte, the nearest folder above that has."""
    while "\\" in text or "�" in text:
        text = text.rpartition("/")[0]
    return os.fsencode(text)


async def fill(result: Result, others: Sequence[Other], known: OnRecord | None) -> Elsewhere:
    """Bring what is lost from the other targets, and mend the result: its problems are those that are left. Raises
    OSError where the folder cannot be written to."""
    found = Elsewhere(lost(result, known))
    wanted = list(found.lost)
    stage, top = bytes(result.to / STAGE), metadata.read(bytes(result.to))
    try:
        for other in others:
            for snapshot in _nearest(other.snapshots, result):
                if not wanted:
                    break
                try:
                    brought = await _stage(other, snapshot, wanted, stage)
                except VaultdError as error:
                    found.failed[other.name] = error
                    break
                taken = _install(brought, bytes(result.to), wanted, known)
                found.taken += [Taken(path, other.name, snapshot.id, known is not None) for path in taken]
                wanted = _left(wanted, taken, known)
                shutil.rmtree(stage, ignore_errors=True)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        metadata.write(bytes(result.to), top)  # its time has changed with the stage in it
    found.still = wanted
    _mend(result, found, known)
    return found


def _nearest(snapshots: Sequence[StoredSnapshot], result: Result) -> list[StoredSnapshot]:
    mine = [one for one in snapshots if one.kind in (SnapshotKind.FULL, SnapshotKind.EXPRESS)]
    host = result.plan.base.host
    mine = [one for one in mine if one.host == host and one.vault == result.plan.request.vault]

    def distance(one: StoredSnapshot) -> tuple[int, int]:
        return (0 if one.kind is SnapshotKind.FULL else 1, abs(one.time - result.plan.newest))

    full = sorted((one for one in mine if one.kind is SnapshotKind.FULL), key=distance)
    express = sorted((one for one in mine if one.kind is SnapshotKind.EXPRESS), key=distance)
    if not result.plan.over:
        return [*full[:MOST_SNAPSHOTS], *express[:MOST_SNAPSHOTS]]
    return [*full[:1], *express[:MOST_SNAPSHOTS], *full[1:MOST_SNAPSHOTS]]


async def _stage(other: Other, snapshot: StoredSnapshot, wanted: Sequence[bytes], stage: bytes) -> bytes:
    """Restore these paths of a snapshot; the folder where they are."""
    source = source_of(snapshot)
    for at in range(0, len(wanted), _MOST_PATHS):
        await commands.restore(
            other.repository, snapshot.id, source.folder, stage, wanted[at : at + _MOST_PATHS], "always", lock=False
        )
    return stage


def _install(stage: bytes, to: bytes, wanted: Sequence[bytes], known: OnRecord | None) -> list[bytes]:
    """Put the files in place that are the right version; their paths."""
    taken, asked = list[bytes](), set(wanted)
    folders: dict[bytes, metadata.Metadata] = {}
    for path in _files(stage) if os.path.isdir(stage) else ():
        if known is None:
            right = any(is_below(path, one) for one in wanted)
        else:
            right = path in known.sha256 and path in asked and digest_of(join(stage, path)) == known.sha256[path]
        if not right:
            continue
        _folders(stage, to, parent(path), folders)
        os.replace(join(stage, path), join(to, path))
        taken.append(path)
    # The folders' times have changed with what was put into them.
    for folder in sorted(folders, key=lambda one: -one.count(b"/")):
        metadata.write(join(to, folder), folders[folder])
    return taken


def _files(stage: bytes) -> list[bytes]:
    found = []
    for top, _folders_there, names in os.walk(stage):
        found += [join(top, name)[len(stage) :].lstrip(b"/") for name in names]
    return sorted(one for one in found if stat.S_ISREG(os.lstat(join(stage, one)).st_mode))


def _folders(stage: bytes, to: bytes, folder: bytes, noted: dict[bytes, metadata.Metadata]) -> None:
    """Make the folders above a file, and note what each is to look like afterwards: as it is, or as it was stored."""
    if not folder or folder in noted:
        return
    _folders(stage, to, parent(folder), noted)
    there = join(to, folder)
    if not os.path.isdir(there):
        os.mkdir(there, 0o700)
        noted[folder] = metadata.read(join(stage, folder))
    else:
        noted[folder] = metadata.read(there)


def _left(wanted: Sequence[bytes], taken: Sequence[bytes], known: OnRecord | None) -> list[bytes]:
    if known is not None:
        return [path for path in wanted if path not in set(taken)]
    return [one for one in wanted if not any(is_below(path, one) for path in taken)]


def _mend(result: Result, found: Elsewhere, known: OnRecord | None) -> None:
    """The problems that are over are no problems. But what nothing confirms may be another version: not all is done."""
    still = {display(replaced(path)) for path in found.still}
    texts = {one.path: one for one in result.problems}
    gone = {display(replaced(path)) for path in found.lost} - still
    above = {display(replaced(one)) for path in found.lost for one in _above(path)}
    left = [one for name, one in texts.items() if name not in gone and name not in above]
    left += [texts.get(name, Problem(name, "")) for name in sorted(still) if name not in {one.path for one in left}]
    result.problems = left
    if known is not None and result.outcome is Outcome.PARTIAL and not left and not result.missing:
        result.outcome = Outcome.DONE


def _above(path: bytes) -> list[bytes]:
    found = []
    while path := parent(path):
        found.append(path)
    return found
