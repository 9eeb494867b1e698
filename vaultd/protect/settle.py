"""After restic has ended: look again, judge each path, and make the acknowledgement."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from vaultd import names
from vaultd.hashing import Hashed
from vaultd.model import FileKind, Stat, inode_of
from vaultd.protect.binding import Verdict, judge
from vaultd.protect.changeset import ChangeSet
from vaultd.protect.refs import VaultRef
from vaultd.store import Bound, Entry, PendingRow, Retry, Store, pending
from vaultd.watch.look import Look
from vaultd.watch.record import record

ATTEMPTS = 3
"""So many failed bindings, and a file counts as in motion."""

PAGE = 20_000
RETRY_NS = 2_000_000_000
UNREAD_RETRY_NS = 900_000_000_000


@dataclass(slots=True)
class Judged:
    """The paths of a change set after the run. ``moving`` are to be hashed from what restic stored."""

    bound: list[Bound] = field(default_factory=list)
    deleted: list[bytes] = field(default_factory=list)
    settled: list[bytes] = field(default_factory=list)
    moving: dict[bytes, Stat] = field(default_factory=dict)
    retry: list[Retry] = field(default_factory=list)
    unread: list[bytes] = field(default_factory=list)

    def set_aside_unread(self, path: bytes) -> None:
        """It could not be read: try again later, or when it changes."""
        self.unread.append(path)
        self.retry.append(Retry(path, "unread", time.time_ns() + UNREAD_RETRY_NS))


def judge_all(
    store: Store, vault: VaultRef, changes: ChangeSet, hashed: Mapping[bytes, Hashed], refused: set[str],
    ready: Collection[bytes] = (),
) -> Judged:  # fmt: skip
    """Look at every file of the change set again, and judge it. ``refused``: items for which restic reported an error.
    ``ready`` are bound already, and were looked at again (``reading``).

    What was found changed goes into the catalog and the backlog again, so that the next run starts from it.
    """
    judged, now = Judged(), time.time_ns()
    different: list[bytes] = []
    look = Look(vault.root)
    for path, before in changes.files.items():
        if path in ready:
            continue
        no_access = False
        after: Stat | None
        try:
            found = look.raw(path)
        except OSError:
            after, no_access = before, True
        else:
            after = None if found is None else before if _is_still(found, before) else Stat.of(found)
        is_refused = no_access or (bool(refused) and names.replaced(names.join(vault.root, path)) in refused)
        known = changes.known.get(path)
        verdict = judge(before, changes.began, hashed.get(path), known, after, refused=is_refused)
        if verdict is Verdict.BOUND:
            got = hashed.get(path)
            digest = known if known is not None else got.digest if got is not None else None
            digest = digest if before.kind is FileKind.FILE else None
            sm3 = None if got is None or not got.sm3.strip(b"\0") else got.sm3
            judged.bound.append(Bound(path, before, digest, known is not None, sm3))
            continue
        if after != before:
            different.append(path)
        if verdict is Verdict.GONE:
            continue
        if verdict is Verdict.UNREAD:
            judged.set_aside_unread(path)
        elif changes.attempts.get(path, 0) + 1 >= ATTEMPTS and before.kind is FileKind.FILE:
            judged.moving[path] = after if after is not None else before
        else:
            judged.retry.append(Retry(path, None, now + RETRY_NS))
    for path in changes.unread:
        judged.set_aside_unread(path)
    if different:
        record(store, vault.id, vault.targets, vault.root, different, accept=store.accepted(vault.id))
    return judged


def _is_still(found: os.stat_result, before: Stat) -> bool:
    """Whether lstat says what it said before; quicker than making a Stat of it a hundred thousand times."""
    return (
        found.st_ctime_ns == before.ctime and inode_of(found) == before.inode and found.st_mtime_ns == before.mtime
        and (before.kind is not FileKind.FILE or found.st_size == before.size)
        and found.st_mode & 0o7777 == before.mode and found.st_uid == before.uid and found.st_gid == before.gid
    )  # fmt: skip


def in_motion(judged: Judged, stored: Mapping[bytes, tuple[int, bytes, bytes]], objective: float) -> list[Bound]:
    """The files in motion with size and hash of what restic stored; one that could not be read back is tried again."""
    now, found = time.time_ns(), list[Bound]()
    for path, seen in judged.moving.items():
        if path in stored:
            size, digest, sm3 = stored[path]
            kept = Stat(seen.kind, seen.inode, size, seen.mtime, seen.ctime, seen.mode, seen.uid, seen.gid)
            found.append(Bound(path, kept, digest, sm3=sm3 or None))
            judged.retry.append(Retry(path, "in-motion", now + int(objective * 1e9)))
        else:
            judged.retry.append(Retry(path, None, now + RETRY_NS))
    return found


def settle_owed(store: Store, vault: VaultRef, target: int, upto: int, judged: Judged, refused: set[str]) -> None:
    """After a full snapshot: which of the paths that were only owed does it have as they are?

    A path is settled when it is now what the catalog said before the run: its content was bound then, or it has none.
    All others go through catalog and backlog again. Paths with unsafe content are not looked at: those of the change
    set are judged already, and others were not hashed.
    """
    after = b""
    while rows := store.pending_rows(target, vault.id, upto=upto, after=after, limit=PAGE, safe_only=True):
        _settle_page(store, vault, rows, judged, refused)
        if rows[-1].path == after:  # the vault's own folder (b"") was the only row
            break
        after = rows[-1].path
    _note_stray(store, vault, target, upto, judged, refused)


def _note_stray(
    store: Store, vault: VaultRef, target: int, upto: int, judged: Judged, refused: set[str]
) -> None:  # fmt: skip
    """What restic could not read although nobody knew of a change: the snapshot lacks it, and so must the backlog say.

    A disk that goes bad and a folder that was closed are such cases. A name that is not UTF-8 cannot be told from
    restic's words: a folder above it, or the reconcile scan, has to name it.
    """
    start, look = os.fsdecode(names.join(vault.root, b"x")[:-1]), Look(vault.root)
    judged_already = (*(retry.path for retry in judged.retry), *judged.moving)
    known = {names.replaced(names.join(vault.root, path)) for path in judged_already}
    stray = []
    for item in refused - known:
        if item.startswith(start) and "\N{REPLACEMENT CHARACTER}" not in item:
            path = os.fsencode(item.removeprefix(start))
            with contextlib.suppress(OSError):
                if look.at(path) is None:
                    continue  # it went meanwhile
            stray.append(path)
    if not stray:
        return
    now = time.time_ns()
    with store.database.write() as db:
        pending.mark_unread(db, target, vault.id, upto, now, now + UNREAD_RETRY_NS, stray)
    judged.unread.extend(stray)


def _settle_page(store: Store, vault: VaultRef, rows: Sequence[PendingRow], judged: Judged, refused: set[str]) -> None:
    entries = store.entries(vault.id, [row.path for row in rows])
    different: list[bytes] = []
    look = Look(vault.root)
    for row in rows:
        entry = entries.get(row.path)
        try:
            now = look.at(row.path)
        except OSError:
            now, unread = None, True
        else:
            unread = names.replaced(names.join(vault.root, row.path)) in refused
        if unread:  # else a full snapshot would be made again and again for it
            judged.set_aside_unread(row.path)
        elif now is None:
            if entry is None:
                judged.settled.append(row.path)
                judged.deleted.append(row.path)
            else:
                different.append(row.path)
        elif entry is None or entry.stat != now:
            different.append(row.path)
        elif _has_all(row, entry):
            judged.settled.append(row.path)
    if different:
        record(store, vault.id, vault.targets, vault.root, different, accept=store.accepted(vault.id))


def _has_all(row: PendingRow, entry: Entry) -> bool:
    if entry.stat.kind is FileKind.FILE:
        return row.unsafe_since is None and entry.sha256 is not None
    return entry.stat.kind is not FileKind.SYMLINK or row.unsafe_since is None
