"""One target's loop: what is due next, one run at a time, back-off, and what somebody asked for.

Full and express snapshots never overlap on a target. A dead target holds up nobody else: each has its own worker.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from vaultd.config.model import DumpConfig
from vaultd.errors import LockedError, ResticError, RootError, TargetFullError, UnreachableError, VaultdError
from vaultd.i18n import _
from vaultd.model import SnapshotKind
from vaultd.protect import changeset, dump, failure
from vaultd.protect.alarm import check_mass_change, note_exceptions
from vaultd.protect.batches import BATCH_FILES, first_batch
from vaultd.protect.changeset import ChangeSet
from vaultd.protect.cost import EXPRESS_FILES, Cost, Spent, full_is_affordable, rest_after
from vaultd.protect.refs import Context, TargetRef, VaultRef
from vaultd.protect.root import check_root
from vaultd.protect.snapshot import SHAKY, Done, Line, make
from vaultd.protect.statecopy import StateCopy
from vaultd.store import Backlog
from vaultd.watch.settle import Settle

log = logging.getLogger(__name__)

REPAIR_BYTES = 16 << 20
"""An upload broken off after this many bytes is worth `restic repair index` before the next try."""

SHAKY_SECONDS = 1800.0
"""So long after a break the line is used with care."""

FLOWING_SECONDS = 3.0
"""A run that has lasted so long before the line broke has got somewhere."""

FLAPPING_SECONDS = 120.0
"""So long after such a run a failure is taken for another break of the same line."""

BROKEN_WAIT = 1.0
IDLE_SECONDS = 30.0
NOTHING_SECONDS = 5.0
DEMAND_ROUNDS = 6


@dataclass(slots=True)
class Series:
    """One vault on this target: when it is due, and what it costs."""

    vault: VaultRef
    settle: Settle
    cost: Cost = field(default_factory=Cost)
    rest_until: float = 0.0
    first_scan: bool = False
    blocked: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """What the worker does next: a run, or waiting until ``at`` (monotonic seconds)."""

    at: float
    series: Series | None = None
    kind: SnapshotKind = SnapshotKind.FULL
    batch: bool = False
    dump: DumpConfig | None = None
    state: int | None = None


class Worker:
    """Protects the vaults of one target. ``prepare`` is called before the first run after a start or a failure (locks,
    repository id, a broken upload); it raises VaultdError while the target cannot be used."""

    def __init__(
        self,
        context: Context,
        target: TargetRef,
        vaults: Iterable[VaultRef],
        prepare: Callable[[TargetRef, bool], object],
    ) -> None:
        self.context = context
        self.target = target
        self.series = {
            vault.id: Series(vault, Settle(vault.config.settle, vault.config.max_delay))
            for vault in sorted(vaults, key=lambda vault: (vault.config.priority, vault.name))
        }
        self.failures = 0
        self.retry_at = 0.0
        self.running: str = ""
        self._prepare = prepare
        self._prepared = False
        self._repair = bool(int(context.store.get_meta(f"repair:{target.name}") or 0))
        self._broke_at: float | None = None
        self._flowed_at: float | None = None
        self._spent = Spent()
        self._wake = asyncio.Event()
        self._busy = asyncio.Lock()
        self._state_copy = StateCopy(context, target)

    # what others tell it

    def touch(self, vault: int, *, scanned: bool = False) -> None:
        """Something changed in a vault; ``scanned``: a whole scan found it, so there is nothing to wait for."""
        series = self.series.get(vault)
        if series is None:
            return
        if scanned:
            series.first_scan = False
            series.settle.taken()
        else:
            series.settle.touch(time.monotonic())
        self._wake.set()

    def wait_for_scan(self, vault: int) -> None:
        """The first scan of a vault is under way: its first protection would be of half of it."""
        if vault in self.series:
            self.series[vault].first_scan = True

    def wake(self, *, forget_backoff: bool = False) -> None:
        """Look again now; ``forget_backoff``: also if the target failed a moment ago."""
        if forget_backoff:
            self.retry_at = 0.0
        self._wake.set()

    # the loop

    async def get_ready(self) -> None:
        """Look at the target while there is nothing to send yet; a failure is noted as if a run had met it."""
        try:
            async with self._busy:
                await self._make_ready()
        except VaultdError as error:
            self._failed(error)

    async def run(self) -> None:
        """Protect until cancelled. A run in motion is ended with it; restic leaves no lock then."""
        await self.get_ready()
        while True:
            self._wake.clear()
            try:
                async with self._busy:
                    now = time.monotonic()
                    chosen = Round(self.retry_at) if self.retry_at > now else await asyncio.to_thread(self._choose, now)
                    if chosen.at <= now:
                        await self._attempt(chosen)
                        continue
                    if self.retry_at <= now:
                        await self._see_whether_it_is_over()
            except VaultdError as error:
                self._failed(error)
                continue
            try:
                async with asyncio.timeout(min(IDLE_SECONDS, max(0.01, chosen.at - time.monotonic()))):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _choose(self, now: float) -> Round:
        """The next run by priority, or how long to wait. Reads the store only."""
        soonest = now + IDLE_SECONDS
        for series in self.series.values():
            found = self._due(series, now)
            if found is None:
                continue
            if found.at <= now:
                return found
            soonest = min(soonest, found.at)
        return self._due_dump(now) or self._due_state(now) or Round(soonest)

    def _due_dump(self, now: float) -> Round | None:
        """A dump whose time has come; it waits for the vault's first full snapshot, to which it is tied."""
        for series in self.series.values():
            if self._first_protection(series):
                continue
            for wanted in series.vault.config.dump:
                if dump.due_at(self.context.store, series.vault, self.target.id, wanted) <= time.time():
                    return Round(now, series, SnapshotKind.DUMP, dump=wanted)
        return None

    def _due_state(self, now: float) -> Round | None:
        newest = self.context.store.newest_snapshot(self.target.id)
        return Round(now, state=newest) if newest and self._state_copy.due(now, newest) else None

    def _due(self, series: Series, now: float) -> Round | None:
        store, vault = self.context.store, series.vault
        if series.first_scan and self._first_protection(series):
            return None
        backlog = store.backlog(self.target.id, vault.id)
        ready = max(series.rest_until, series.settle.due_at() or 0.0)
        if backlog.files:
            kind, batch = self._kind(series, backlog)
            return Round(ready, series, kind, batch)
        if backlog.due_since is not None:  # content is safe; the exact state is owed
            expected = series.cost.expected_full(store.totals(vault.id)[0], 0)
            if self._affordable(expected) or self._overdue(backlog.due_since, vault.config.objective / 2):
                return Round(ready, series, SnapshotKind.FULL)
            return Round(now + IDLE_SECONDS)
        later = store.next_due(self.target.id, vault.id)
        return None if not later else Round(now + max(0.0, (later - time.time_ns()) / 1e9))

    def _overdue(self, since: int, seconds: float) -> bool:
        return time.time_ns() - since > seconds * 1e9

    def _affordable(self, expected: float) -> bool:
        host = self.context.config.host
        return full_is_affordable(expected, self._spent, full_seconds=host.full_seconds, full_share=host.full_share)

    def _kind(self, series: Series, backlog: Backlog) -> tuple[SnapshotKind, bool]:
        """Full, express, or a batch of a backlog that is too large for either."""
        store, cost = self.context.store, series.cost
        if backlog.files > BATCH_FILES or backlog.bytes > cost.rate * self.context.config.host.batch_seconds:
            return SnapshotKind.EXPRESS, True
        if self._line() == SHAKY and backlog.bytes > 2 * self._batch_bytes(series):
            return SnapshotKind.EXPRESS, True
        if store.last_snapshot(self.target.id, series.vault.id, SnapshotKind.FULL) is None:
            return SnapshotKind.FULL, False
        files = store.totals(series.vault.id)[0]
        expected = cost.expected_full(files, backlog.bytes)
        if self._affordable(expected):
            return SnapshotKind.FULL, False
        runs = -(-backlog.files // EXPRESS_FILES)
        if runs * cost.expected_express(0) >= cost.expected_full(files, 0):
            return SnapshotKind.FULL, False
        return SnapshotKind.EXPRESS, False

    def _batch_bytes(self, series: Series) -> int:
        seconds = self.context.config.host.batch_seconds
        return max(1, int(series.cost.rate * (seconds if self._line() != SHAKY else min(seconds, 10.0))))

    # one run

    async def _attempt(self, chosen: Round) -> Done | None:
        """One run with all that goes before and after it. Raises VaultdError when the target or restic failed."""
        series = chosen.series
        if chosen.state is not None:
            await self._make_ready()
            await self._state_copy.make(chosen.state)
        if series is None:
            return None
        if chosen.dump is not None:
            return await self._dump(series, chosen.dump)
        try:
            changes, kind = await self._take(series, chosen, all_due=False)
        except RootError as error:  # this vault only; the alert stands already
            series.blocked = error.code
            series.rest_until = time.monotonic() + IDLE_SECONDS
            return None
        series.blocked = ""
        return await self._run(series, kind, changes)

    async def _dump(self, series: Series, wanted: DumpConfig) -> Done | None:
        await self._make_ready()
        self.running = series.vault.name
        try:
            done = await dump.make_dump(self.context, series.vault, self.target, wanted)
        finally:
            self.running = ""
        self._succeeded()
        return done

    async def _take(self, series: Series, chosen: Round, *, all_due: bool) -> tuple[ChangeSet, SnapshotKind]:
        store, vault, target = self.context.store, series.vault, self.target.id
        series.settle.taken()
        state = await asyncio.to_thread(check_root, store, vault)
        kind = SnapshotKind.EXPRESS if state.withhold_full else chosen.kind

        def take() -> ChangeSet:
            if kind is SnapshotKind.FULL:
                backlog = store.backlog(target, vault.id)
                if backlog.files > changeset.LARGE:
                    find = partial(changeset.rows_for_full, store, vault, target, all_due)
                    return changeset.take_as_seen(store, vault, find, [], (backlog.files, backlog.bytes))
                rows = changeset.rows_for_full(store, vault, target, all_due)
                return changeset.take(store, vault, rows, None)
            if chosen.batch:
                batch = first_batch(store.folder_sizes(vault.id, target), self._batch_bytes(series))
                if batch is not None:
                    return changeset.take_batch(store, vault, target, batch)
            rows = changeset.rows_for_express(store, vault, target, all_due)
            return changeset.take(store, vault, rows, [])

        changes = await asyncio.to_thread(take)
        changes.check = partial(check_mass_change, store, vault, self.target, changes)
        return changes, kind

    async def _run(self, series: Series, kind: SnapshotKind, changes: ChangeSet) -> Done | None:
        if kind is SnapshotKind.EXPRESS and not changes.roots:
            # Everything listed has vanished meanwhile, or a full snapshot is owed that is held back.
            series.rest_until = time.monotonic() + NOTHING_SECONDS
            return None
        await self._make_ready()
        begun = time.monotonic()
        self.running = series.vault.name
        try:
            done = await make(self.context, series.vault, self.target, kind, changes, self._line())
        except (UnreachableError, ResticError, TargetFullError, asyncio.CancelledError) as error:
            await self._note_broken(changes.expected[1], error, time.monotonic() - begun)
            raise
        finally:
            self.running = ""
            self._spent.add(time.monotonic() - begun)
        seconds = time.monotonic() - begun
        if kind is SnapshotKind.FULL:
            self.context.store.accept(series.vault.id, False)  # an emptied folder was meant once, not for ever
        series.cost.learn(full=kind is SnapshotKind.FULL, seconds=seconds, sent=done.sent)
        if not self._first_protection(series):
            share = self._spent.share_with(seconds)
            series.rest_until = time.monotonic() + rest_after(seconds, share, series.vault.config.objective)
        self._succeeded()
        await asyncio.to_thread(note_exceptions, self.context.store, series.vault, self.target)
        return done

    def _first_protection(self, series: Series) -> bool:
        return self.context.store.last_snapshot(self.target.id, series.vault.id, SnapshotKind.FULL) is None

    async def _make_ready(self) -> None:
        if self._prepared and not self._repair:
            return
        found = self._prepare(self.target, self._repair)
        if asyncio.iscoroutine(found):
            await found
        self._prepared = True
        await self._set_repair(False)

    def _line(self) -> Line:
        broke = self._broke_at
        return Line() if broke is None or time.monotonic() - broke > SHAKY_SECONDS else SHAKY

    async def _note_broken(self, total: int, error: BaseException, seconds: float) -> None:
        self.context.store.set_meta(f"locks:{self.target.name}", "1")
        if isinstance(error, UnreachableError):
            self._broke_at = time.monotonic()
            if seconds >= FLOWING_SECONDS:
                self._flowed_at = time.monotonic()
        if total >= REPAIR_BYTES:
            await self._set_repair(True)

    async def _set_repair(self, wanted: bool) -> None:
        if wanted != self._repair:
            self._repair = wanted
            self.context.store.set_meta(f"repair:{self.target.name}", str(int(wanted)))

    # how it went

    def _failed(self, error: VaultdError) -> None:
        flowed = self._flowed_at is not None and time.monotonic() - self._flowed_at < FLAPPING_SECONDS
        flowed = flowed and isinstance(error, UnreachableError)
        self.failures = 1 if flowed else self.failures + 1
        self._prepared = False
        self.context.store.set_meta(f"locks:{self.target.name}", "1")  # whatever ran, it may have died with its lock
        # A line that breaks again and again is no dead target: each try gets somewhere, and the next break is near.
        self.retry_at = time.monotonic() + (BROKEN_WAIT if flowed else failure.wait_after(self.failures))
        code = failure.alert_of(error)
        detail = {"error": error.why or error.what, "hint": error.hint}
        if isinstance(error, LockedError):
            detail["owner"] = error.owner or _("another run")
        if self.context.store.alerts.raise_(code, target=self.target.name, detail=detail):
            log.warning("target %s: %s", self.target.name, error)

    def _succeeded(self) -> None:
        if self.failures:
            log.info("target %s answers again", self.target.name)
        self.failures = 0
        self.retry_at = 0.0
        for code in failure.CLEARED_BY_SUCCESS:
            self.context.store.alerts.clear(code, target=self.target.name)

    async def _see_whether_it_is_over(self) -> None:
        """Nothing is to be sent, and an alert says that the target cannot be used: without this it would stand until
        the next change. Raises VaultdError when the target still cannot be used."""
        standing = {alert.code for alert in self.context.store.alerts.list() if alert.target == self.target.name}
        over = standing.intersection(failure.DISPROVED_BY_CONTACT)
        if not over or any(self._owes(series) for series in self.series.values()):
            return
        self._prepared = False
        await self._make_ready()
        for code in over:
            self.context.store.alerts.clear(code, target=self.target.name)
        log.info("target %s answers again", self.target.name)
        self.failures, self.retry_at = 0, 0.0

    def _owes(self, series: Series) -> bool:
        return bool(self.context.store.backlog(self.target.id, series.vault.id).files)

    # what somebody asked for

    async def fulfil(self, vault: int, *, full: bool, upto: int) -> list[Done]:
        """Protect all of a vault that is pending now, without waiting for quiet; ``full``: end with a full snapshot.

        Returns when everything up to sequence number ``upto`` is off-site, or set aside as unread or in motion. Raises
        VaultdError when the target or the folder cannot be used; that is also noted as if the worker had met it.
        """
        series, made = self.series[vault], list[Done]()
        exact = False
        try:
            for _again in range(DEMAND_ROUNDS * 1000):
                async with self._busy:
                    todo = await asyncio.to_thread(self._demanded, series, upto, full=full, exact=exact, made=made)
                    if todo is None:
                        break
                    changes, kind = await self._take(series, todo, all_due=True)
                    exact = exact or (kind is SnapshotKind.FULL and changes.upto >= upto)
                    done = await self._run(series, kind, changes)
                if done is None and todo.kind is SnapshotKind.FULL and kind is SnapshotKind.EXPRESS:
                    raise RootError(
                        _("no full snapshot is made of vault {vault}").format(vault=series.vault.name),
                        _("a file system that was mounted in it is gone"),
                        _("mount it again; if it is meant: vaultd backup {vault} --accept-empty").format(
                            vault=series.vault.name
                        ),
                    )
                if done is None:
                    exact = False
                    await asyncio.sleep(0.2)
                    if not changes.expected[0] and not full:
                        break
                    continue
                made.append(done)
            if full:
                for wanted in series.vault.config.dump:
                    async with self._busy:
                        await self._dump(series, wanted)
        except RootError:
            raise
        except VaultdError as error:
            self._failed(error)
            raise
        return made

    def _demanded(self, series: Series, upto: int, *, full: bool, exact: bool, made: list[Done]) -> Round | None:
        rows = self.context.store.pending_rows(
            self.target.id, series.vault.id, upto=upto, unsafe=True, limit=EXPRESS_FILES
        )
        open_rows = [row for row in rows if not (made and (row.problem or row.attempts >= DEMAND_ROUNDS))]
        if open_rows:
            backlog = self.context.store.backlog(self.target.id, series.vault.id)
            kind, batch = self._kind(series, backlog)
            return Round(0.0, series, kind, batch)
        if full and not exact:
            return Round(0.0, series, SnapshotKind.FULL)
        return None
