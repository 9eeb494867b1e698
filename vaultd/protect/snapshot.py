"""One run, end to end: record it, let restic store the change set while the files are hashed, bind, acknowledge."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from vaultd import files, names, reach
from vaultd.errors import RootError, StateError, VaultdError
from vaultd.ledger.events import RunEnded
from vaultd.model import Progress, SnapshotKind
from vaultd.protect import settle
from vaultd.protect.changeset import LARGE, ChangeSet
from vaultd.protect.reading import Reading
from vaultd.protect.recorded import record_process
from vaultd.protect.refs import Context, TargetRef, VaultRef
from vaultd.protect.root import check_after
from vaultd.protect.withdraw import withdraw
from vaultd.restic import commands
from vaultd.restic.commands import BackupResult
from vaultd.restic.tags import new_change_set, tags_of
from vaultd.store import Acknowledgement, Store
from vaultd.watch.scanner import scan_in_process

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """How carefully to use the line: after a break, smaller packs over fewer connections lose less at the next one."""

    connections: int | None = None
    pack_size: int | None = None


MANY_OWED = 50_000
SMALL_BYTES = 64 << 10
SMALL_READERS = 6
"""Measured with 100,000 files of 2 KB: with 4 to 8 a tenth less time than with restic's own 2."""
SHAKY = Line(connections=2, pack_size=4)


@dataclass(frozen=True, slots=True)
class Done:
    """What a run achieved. ``unread`` and ``retry`` count paths of the change set that stay pending."""

    change_set: str
    snapshot: str
    kind: SnapshotKind
    files: int
    total: int
    sent: int
    seconds: float
    upto: int
    bound: int
    unread: int
    retry: int
    in_motion: int


def monotone_time(store: Store) -> tuple[int, datetime | None]:
    """The time for a new snapshot, in nanoseconds, and what to tell restic (None: its own clock is fine).

    A clock that was set back must not make a younger snapshot look older: it then gets the second after the last one's.
    What was told goes to ``Store.note_time`` once it is a snapshot's; where nothing was told, when restic began does.
    """
    last, now = store.last_time(), time.time_ns()
    if now > last:
        return now, None
    forced = (last // 1_000_000_000 + 1) * 1_000_000_000
    return forced, datetime.fromtimestamp(forced // 1_000_000_000, UTC)


async def make(
    context: Context, vault: VaultRef, target: TargetRef, kind: SnapshotKind, changes: ChangeSet, line: Line,
    *, run: str = "", beside: str = "", on_moved: Callable[[int, int], None] | None = None,
) -> Done:  # fmt: skip
    """Make one full or express snapshot and acknowledge what it settles. Raises VaultdError; nothing is lost then.

    ``run``: its change set, where that is known already; ``beside``: the change set of another express run that is
    still going on at this target. ``on_moved`` is told how many files and bytes restic has read.
    """
    store = context.store
    run = run or new_change_set(store.next_order())
    moment, forced = monotone_time(store)
    tags = tags_of(vault.name, kind, run, vault.root)
    begun = time.monotonic()
    store.begin_run(run, target.id, vault.id, kind, beside)
    watcher = _Watcher(context, vault, target, kind, changes, on_moved)
    changes.began = time.time_ns()
    listing: Path | None = None
    try:
        async with Reading(context, vault, kind, run, changes) as reading:
            if kind is SnapshotKind.FULL:
                roots: Sequence[bytes] = [vault.root]
            else:
                roots, listing = (), await asyncio.to_thread(_write_list, context, run, vault, changes)
            parent = store.last_snapshot(target.id, vault.id, SnapshotKind.FULL)
            async with reach.explained(target.config):
                result = await commands.backup(
                    target.repository, roots=roots, files_from=listing, host=context.config.host.name, tags=tags,
                    parent=None if parent is None else parent.snapshot, time=forced,
                    stall=context.config.host.stall_seconds, started=partial(record_process, store, run), marker=run,
                    on_progress=watcher.moved, skip_if_unchanged=kind is SnapshotKind.FULL and parent is not None,
                    connections=line.connections, pack_size=line.pack_size, readers=_readers(changes),
                )  # fmt: skip
            await reading.done()
            try:
                await asyncio.to_thread(check_after, store, vault, full=kind is SnapshotKind.FULL)
            except RootError:
                if kind is SnapshotKind.FULL and result.snapshot_id is not None:
                    store.end_run(run, "failed", time.monotonic() - begun, error=RootError.code)  # also if we die now
                    await withdraw(store, target, vault.name, run, vault.root, result.snapshot_id)
                raise
            moment = moment if forced is not None or result.began is None else result.began
            previous = None if parent is None else parent.snapshot
            done = await _acknowledge(context, vault, target, kind, changes, run, moment, result, reading, previous)
    except BaseException as error:
        sent = watcher.bytes_done
        reason = error.code if isinstance(error, VaultdError) else type(error).__name__
        with contextlib.suppress(StateError):  # nothing must hide why it failed, a cancellation least of all
            store.end_run(run, "failed", time.monotonic() - begun, sent=sent, error=reason)
            context.custody.note(RunEnded(vault.name, target.name, kind.value, run, "failed", reason))
        raise
    finally:
        watcher.finished()
        if listing is not None:
            listing.unlink(missing_ok=True)
    seconds = time.monotonic() - begun
    state = "partial" if done.unread or done.retry else "done"
    if state == "partial":
        left = done.unread + done.retry
        context.custody.note(RunEnded(vault.name, target.name, kind.value, run, state, left=left))
    store.end_run(run, state, seconds, files=done.files, total=done.total, sent=done.sent)
    return done


def _sm3(context: Context) -> bool:
    return "sm3" in context.config.ledger.digests


def _readers(changes: ChangeSet) -> int | None:
    """More files at a time where they are small, and each is mostly waiting; large ones would make a disk seek."""
    count, total = changes.expected
    return SMALL_READERS if count > LARGE and total < count * SMALL_BYTES else None


def _write_list(context: Context, run: str, vault: VaultRef, changes: ChangeSet) -> Path:
    folder = context.config.host.state / "lists"
    files.make_private_directory(folder)
    path = folder / run
    files.create_exclusive(path, b"".join(names.join(vault.root, root) + b"\0" for root in changes.roots))
    return path


async def _acknowledge(
    context: Context, vault: VaultRef, target: TargetRef, kind: SnapshotKind, changes: ChangeSet, run: str, moment: int,
    result: BackupResult, reading: Reading, previous: str | None,
) -> Done:  # fmt: skip
    store = context.store
    refused = {error.item for error in result.errors}
    await reading.look_again(refused)
    ready = {one.path for one in reading.ready.bound}
    judged = await asyncio.to_thread(settle.judge_all, store, vault, changes, reading.hashed, refused, ready)
    snapshot = result.snapshot_id or (previous if kind is SnapshotKind.FULL else None)
    if snapshot is None:  # every listed file had vanished: there is nothing to acknowledge
        return Done(run, "", kind, 0, 0, 0, result.finished.duration, changes.upto, 0, 0, len(changes.files), 0)
    stored = await stored_hashes(target, snapshot, vault, list(judged.moving), sm3=_sm3(context))
    moving = settle.in_motion(judged, stored, vault.config.objective)
    settled_all = False
    if kind is SnapshotKind.FULL:
        settled_all = not refused and await _settled_by_scan(store, vault, target, changes.upto, judged)
        if not settled_all:
            await asyncio.to_thread(settle.settle_owed, store, vault, target.id, changes.upto, judged, refused)
    acknowledgement = Acknowledgement(
        run, snapshot, target.id, vault.id, kind, moment, result.files_total, result.bytes_total, changes.upto,
        bound=judged.bound, deleted=judged.deleted, in_motion=moving, retry=judged.retry, settled=judged.settled,
        settled_all=settled_all, since=changes.since,
    )  # fmt: skip
    await asyncio.to_thread(context.custody.record, acknowledgement, reading.ready)
    store.note_time(moment)
    unread = len(judged.unread)
    return Done(
        run, snapshot, kind, result.files_total, result.bytes_total, result.data_added_packed, result.finished.duration,
        changes.upto, len(ready) + len(judged.bound), unread, len(judged.retry) - unread - len(moving), len(moving),
    )  # fmt: skip


async def _settled_by_scan(
    store: Store, vault: VaultRef, target: TargetRef, upto: int, judged: settle.Judged
) -> bool:  # fmt: skip
    """For a large backlog: one scan instead of a look at each path. What differs gets a younger number by it, so what
    keeps its number is as it was before the run. False when the backlog is small, or the scan could not see all."""
    if await asyncio.to_thread(store.count_owed, target.id, vault.id, upto) < MANY_OWED:
        return False
    found = await scan_in_process(store.database.path, vault.id, vault.targets, vault.root)
    if not found.complete:
        return False
    judged.deleted += await asyncio.to_thread(store.gone_rows, target.id, vault.id, upto)
    return True


async def stored_hashes(
    target: TargetRef, snapshot: str, vault: VaultRef, paths: Sequence[bytes], *, sm3: bool
) -> dict[bytes, tuple[int, bytes, bytes]]:
    """Size, SHA-256 and SM3 (empty where it is not wanted) of what a snapshot holds of these files; those that it does
    not hold are left out."""
    found: dict[bytes, tuple[int, bytes, bytes]] = {}
    for path in paths:
        counted = _Counted(sm3)
        try:
            await commands.dump(target.repository, snapshot, names.join(vault.root, path), on_chunk=counted.take)
        except VaultdError as error:
            log.debug("reading back %s: %s", names.display(path), error)
            continue
        second = b"" if counted.sm3 is None else counted.sm3.digest()
        found[path] = (counted.size, counted.digest.digest(), second)
    return found


class _Counted:
    def __init__(self, sm3: bool) -> None:
        self.size = 0
        self.digest = hashlib.sha256()
        self.sm3 = hashlib.new("sm3") if sm3 else None

    def take(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self.digest.update(chunk)
        if self.sm3 is not None:
            self.sm3.update(chunk)


class _Watcher:
    """Turns restic's counts into Progress with our totals."""

    def __init__(
        self, context: Context, vault: VaultRef, target: TargetRef, kind: SnapshotKind, changes: ChangeSet,
        on_moved: Callable[[int, int], None] | None,
    ) -> None:  # fmt: skip
        self._report: Callable[[Progress], None] = context.on_progress
        self._on_moved = on_moved
        self._names = (vault.name, target.name, kind.value)
        self._totals = changes.expected
        if kind is SnapshotKind.FULL:  # what the last scan counted, and at least what is known to be new
            files_total, bytes_total, _complete = context.store.totals(vault.id)
            self._totals = (max(files_total, changes.expected[0]), max(bytes_total, changes.expected[1]))
        self._begun = time.monotonic()
        self._marks: list[tuple[float, int]] = []
        self.bytes_done = 0

    def moved(self, files_done: int, bytes_done: int) -> None:
        """restic has read so much."""
        self.bytes_done = bytes_done
        if self._on_moved is not None:
            self._on_moved(files_done, bytes_done)
        now = time.monotonic()
        self._marks = [*self._marks[-20:], (now, bytes_done)]
        first_time, first_bytes = self._marks[0]
        rate = (bytes_done - first_bytes) / (now - first_time) if now > first_time else 0.0
        files_total, bytes_total = max(self._totals[0], files_done), max(self._totals[1], bytes_done)
        left = (bytes_total - bytes_done) / rate if rate > 0 else None
        self._report(
            Progress("backup", *self._names, files_done, files_total, bytes_done, bytes_total, rate, left)
        )  # fmt: skip

    def finished(self) -> None:
        """The run is over."""
        files_total, bytes_total = self._totals
        self._report(Progress("done", *self._names, files_total, files_total, bytes_total, bytes_total, 0.0, 0.0))
