"""One target's loop: one run at a time, by its schedule, with back-off; and what somebody asked for.

Full and express snapshots never overlap on a target. A dead target holds up nobody else: each has its own worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Protocol

from vaultd.config.model import DumpConfig
from vaultd.errors import ResticError, RootError, TargetFullError, UnreachableError, VaultdError
from vaultd.model import SnapshotKind
from vaultd.protect import changeset, dump, failure
from vaultd.protect.alarm import check_mass_change, note_exceptions
from vaultd.protect.batches import first_batch
from vaultd.protect.changeset import ChangeSet
from vaultd.protect.cost import EXPRESS_FILES, rest_after
from vaultd.protect.health import Health, Prepare
from vaultd.protect.hold import Turn
from vaultd.protect.refs import Context, TargetRef, VaultRef
from vaultd.protect.root import check_root, mount_gone
from vaultd.protect.schedule import IDLE_SECONDS, Round, Schedule, Series
from vaultd.protect.snapshot import SHAKY, Done, make
from vaultd.protect.statecopy import StateCopy

NOTHING_SECONDS = 5.0
DEMAND_ROUNDS = 6


class Spare(Protocol):
    """Work for when there is nothing to protect. It is ended whenever there is, and begins again later."""

    def due_at(self, now: float) -> float:
        """Not before which moment (monotonic seconds) there is any."""

    async def run(self) -> None:
        """Do some of it; may be cancelled at any moment. Raises VaultdError when the target cannot be used."""


class Worker:
    """Protects the vaults of one target. ``prepare`` raises VaultdError while the target cannot be used."""

    def __init__(self, context: Context, target: TargetRef, vaults: Iterable[VaultRef], prepare: Prepare) -> None:
        self.context = context
        self.target = target
        self.health = Health(context.store, target, prepare, context.custody.note)
        self._state_copy = StateCopy(context, target)
        self.schedule = Schedule(context, target, vaults, self._state_copy)
        self._state = context.config.host.state
        self._wake = asyncio.Event()
        self._busy = Turn(context.config.target_folder(target.config))
        self._demands = 0
        self.spare: Spare | None = None
        """What is done here while there is nothing to protect."""

    def close(self) -> None:
        """Give back what it holds open."""
        self._busy.close()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Have the target to oneself: no run goes on there meanwhile."""
        async with self._busy:
            yield

    # what others tell it

    def touch(self, vault: int, heard: float | None) -> None:
        """Something changed in a vault, and was ``heard`` of then (monotonic seconds). None: a whole scan found it, so
        there is nothing to wait for."""
        series = self.schedule.series.get(vault)
        if series is None:
            return
        if heard is None:
            series.first_scan = False
            series.settle.quiet()
        else:
            series.settle.touch(heard)
        self._wake.set()

    def wait_for_scan(self, vault: int) -> None:
        """The first scan of a vault is under way: its first protection would be of half of it."""
        if vault in self.schedule.series:
            self.schedule.series[vault].first_scan = True

    def wake(self, *, forget_backoff: bool = False) -> None:
        """Look again now; ``forget_backoff``: also if the target failed a moment ago."""
        if forget_backoff:
            self.health.retry_at = 0.0
        self._wake.set()

    def _shaky(self) -> bool:
        return self.health.line() == SHAKY

    # the loop

    async def get_ready(self) -> None:
        """Look at the target while there is nothing to send yet; a failure is noted as if a run had met it."""
        try:
            async with self._busy:
                with failure.told(self._state):
                    await self.health.make_ready()
        except VaultdError as error:
            self.health.failed(error)

    async def run(self) -> None:
        """Protect until cancelled. A run in motion is ended with it; restic leaves no lock then."""
        await self.get_ready()
        while True:
            self._wake.clear()
            try:
                async with self._busy:
                    now = time.monotonic()
                    chosen = Round(self.health.retry_at)
                    if chosen.at <= now:
                        chosen = await asyncio.to_thread(self.schedule.choose, now, shaky=self._shaky())
                        with failure.told(self._state):
                            if chosen.at <= now:
                                await self._attempt(chosen)
                                continue
                            if not await asyncio.to_thread(self.schedule.owes_content):
                                await self.health.see_whether_it_is_over()
                            await self._spare_time(now)
            except VaultdError as error:
                self.health.failed(error)
                continue
            until = chosen.at if self.spare is None else min(chosen.at, self.spare.due_at(time.monotonic()))
            try:
                async with asyncio.timeout(min(IDLE_SECONDS, max(0.01, until - time.monotonic()))):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _spare_time(self, now: float) -> None:
        """Do other work until something is due here, or somebody asks for something."""
        if self.spare is None or self.spare.due_at(now) > now or self._demands:
            return
        await self.health.make_ready()
        working = asyncio.create_task(self.spare.run())
        try:
            while not working.done() and not self._demands:
                self._wake.clear()
                now = time.monotonic()
                chosen = await asyncio.to_thread(self.schedule.choose, now, shaky=self._shaky())
                if chosen.at <= now:
                    break
                woken = asyncio.create_task(self._wake.wait())
                try:
                    await asyncio.wait({working, woken}, timeout=chosen.at - now, return_when=FIRST_COMPLETED)
                finally:
                    woken.cancel()
        finally:
            if not working.done():
                working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        if not working.cancelled():
            working.result()
        self._wake.set()  # whatever has woken us

    # one run

    async def _attempt(self, chosen: Round) -> Done | None:
        """One run with all that goes before and after it. Raises VaultdError when the target or restic failed."""
        series = chosen.series
        if chosen.state is not None:
            await self.health.make_ready()
            begun = time.monotonic()
            try:
                await self._state_copy.make(chosen.state)
            finally:
                self.schedule.spent.add(time.monotonic() - begun)
        if series is None:
            return None
        if chosen.dump is not None:
            return await self._dump(series, chosen.dump)
        try:
            changes, kind = await self._take(series, chosen, all_due=False)
            return await self._run(series, kind, changes)
        except RootError:  # this vault only; the alert stands already
            series.rest_until = time.monotonic() + IDLE_SECONDS
            return None

    async def _dump(self, series: Series, wanted: DumpConfig) -> Done | None:
        await self.health.make_ready()
        begun = time.monotonic()
        try:
            done = await dump.make_dump(self.context, series.vault, self.target, wanted)
        finally:
            self.schedule.spent.add(time.monotonic() - begun)
        self.health.succeeded()
        return done

    async def _take(self, series: Series, chosen: Round, *, all_due: bool) -> tuple[ChangeSet, SnapshotKind]:
        store, vault, target = self.context.store, series.vault, self.target.id
        series.settle.taken(time.monotonic())
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
                batch = first_batch(
                    store.folder_sizes(vault.id, target), self.schedule.batch_bytes(series, shaky=self._shaky())
                )
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
        await self.health.make_ready()
        begun = time.monotonic()
        try:
            done = await make(self.context, series.vault, self.target, kind, changes, self.health.line())
        except (UnreachableError, ResticError, TargetFullError, asyncio.CancelledError) as error:
            self.health.note_broken(changes.expected[1], error, time.monotonic() - begun)
            raise
        except RootError:  # what restic made of it may still have to be withdrawn
            self.health.look_again()
            raise
        finally:
            self.schedule.spent.add(time.monotonic() - begun, full=kind is SnapshotKind.FULL)
        seconds = time.monotonic() - begun
        if kind is SnapshotKind.FULL:
            self.context.store.accept(series.vault.id, False)  # an emptied folder was meant once, not for ever
        series.cost.learn(full=kind is SnapshotKind.FULL, seconds=done.seconds, sent=done.sent)
        if not self.schedule.first_protection(series):
            # After a full one, too, content waits only as long as the express snapshot that it needs is worth.
            share, content = self.schedule.spent.share_with(seconds), min(seconds, series.cost.expected_express(0))
            series.rest_until = time.monotonic() + rest_after(content, share, series.vault.config.objective)
        self.health.succeeded()
        await asyncio.to_thread(note_exceptions, self.context.store, series.vault, self.target)
        return done

    # what somebody asked for

    async def fulfil(self, vault: int, *, full: bool, upto: int) -> list[Done]:
        """Protect all of a vault that is pending now, without waiting for quiet; ``full``: end with a full snapshot.

        Returns when everything up to sequence number ``upto`` is off-site, or set aside as unread or in motion. Raises
        VaultdError when the target or the folder cannot be used; that is also noted as if the worker had met it.
        """
        series, made = self.schedule.series[vault], list[Done]()
        exact = False
        self._demands += 1
        self._wake.set()
        try:
            for _again in range(DEMAND_ROUNDS * 1000):
                async with self._busy:
                    todo = await asyncio.to_thread(self._demanded, series, upto, full=full, exact=exact, made=made)
                    if todo is None:
                        break
                    with failure.told(self._state):
                        changes, kind = await self._take(series, todo, all_due=True)
                        exact = exact or (kind is SnapshotKind.FULL and changes.upto >= upto)
                        done = await self._run(series, kind, changes)
                if done is None and todo.kind is SnapshotKind.FULL and kind is SnapshotKind.EXPRESS:
                    raise mount_gone(series.vault)
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
            self.health.failed(error)
            raise
        finally:
            self._demands -= 1
        return made

    def _demanded(self, series: Series, upto: int, *, full: bool, exact: bool, made: list[Done]) -> Round | None:
        rows = self.context.store.pending_rows(
            self.target.id, series.vault.id, upto=upto, unsafe=True, limit=EXPRESS_FILES
        )
        open_rows = [row for row in rows if not (made and (row.problem or row.attempts >= DEMAND_ROUNDS))]
        if open_rows:
            backlog = self.context.store.backlog(self.target.id, series.vault.id)
            kind, batch = self.schedule.kind(series, backlog, shaky=self._shaky())
            return Round(0.0, series, kind, batch)
        if full and not exact:
            return Round(0.0, series, SnapshotKind.FULL)
        return None
