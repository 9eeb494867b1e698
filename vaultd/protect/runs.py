"""One run on a target with all that goes before and after it: the state copy, a dump, a full or an express snapshot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from functools import partial

from vaultd.config.model import DumpConfig
from vaultd.errors import ResticError, RootError, TargetFullError, UnreachableError
from vaultd.model import SnapshotKind
from vaultd.protect import changeset, dump
from vaultd.protect.alarm import check_mass_change, note_exceptions
from vaultd.protect.batches import first_batch
from vaultd.protect.changeset import ChangeSet
from vaultd.protect.cost import rest_after
from vaultd.protect.estimate import learn_rate
from vaultd.protect.health import Health, Prepare
from vaultd.protect.refs import Context, TargetRef, VaultRef
from vaultd.protect.root import check_root
from vaultd.protect.schedule import IDLE_SECONDS, Round, Schedule, Series
from vaultd.protect.snapshot import SHAKY, Done, make
from vaultd.protect.statecopy import StateCopy

NOTHING_SECONDS = 5.0


class Runs:
    """The runs of one target. ``prepare`` raises VaultdError while the target cannot be used."""

    def __init__(self, context: Context, target: TargetRef, vaults: Iterable[VaultRef], prepare: Prepare) -> None:
        self.context = context
        self.target = target
        self.health = Health(context.store, target, prepare, context.custody.note)
        self._state_copy = StateCopy(context, target)
        self.schedule = Schedule(context, target, vaults, self._state_copy)
        self.on_its_way: tuple[int, SnapshotKind, int] | None = None
        """The vault, kind and bytes of the snapshot that is being made."""

    def is_shaky(self) -> bool:
        """Whether the line broke a while ago."""
        return self.health.line() == SHAKY

    async def attempt(self, chosen: Round) -> Done | None:
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
            return await self.dump(series, chosen.dump)
        try:
            changes, kind = await self.take(series, chosen, all_due=False)
            return await self.run_one(series, kind, changes)
        except RootError:  # this vault only; the alert stands already
            series.rest_until = time.monotonic() + IDLE_SECONDS
            return None

    async def dump(self, series: Series, wanted: DumpConfig) -> Done | None:
        """Make a dump snapshot."""
        await self.health.make_ready()
        begun = time.monotonic()
        try:
            done = await dump.make_dump(self.context, series.vault, self.target, wanted)
        finally:
            self.schedule.spent.add(time.monotonic() - begun)
        self.health.succeeded()
        return done

    async def take(self, series: Series, chosen: Round, *, all_due: bool) -> tuple[ChangeSet, SnapshotKind]:
        """What a run is to protect, as it is on disk now, and its kind. Raises RootError."""
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
                    store.folder_sizes(vault.id, target), self.schedule.batch_bytes(series, shaky=self.is_shaky())
                )
                if batch is not None:
                    return changeset.take_batch(store, vault, target, batch)
            rows = changeset.rows_for_express(store, vault, target, all_due)
            return changeset.take(store, vault, rows, [])

        changes = await asyncio.to_thread(take)
        changes.check = partial(check_mass_change, store, vault, self.target, changes)
        return changes, kind

    async def run_one(self, series: Series, kind: SnapshotKind, changes: ChangeSet) -> Done | None:
        """Make the snapshot. None where there is nothing to store."""
        if kind is SnapshotKind.EXPRESS and not changes.roots:
            # Everything listed has vanished meanwhile, or a full snapshot is owed that is held back.
            series.rest_until = time.monotonic() + NOTHING_SECONDS
            return None
        await self.health.make_ready()
        begun = time.monotonic()
        self.on_its_way = (series.vault.id, kind, changes.expected[1])
        try:
            done = await make(self.context, series.vault, self.target, kind, changes, self.health.line())
        except (UnreachableError, ResticError, TargetFullError, asyncio.CancelledError) as error:
            self.health.note_broken(changes.expected[1], error, time.monotonic() - begun)
            raise
        except RootError:  # what restic made of it may still have to be withdrawn
            self.health.look_again()
            raise
        finally:
            self.on_its_way = None
            self.schedule.spent.add(time.monotonic() - begun, full=kind is SnapshotKind.FULL)
        seconds = time.monotonic() - begun
        if kind is SnapshotKind.FULL:
            self.context.store.accept(series.vault.id, False)  # an emptied folder was meant once, not for ever
        learn_rate(self.context.store, self.target.name, done.sent, seconds)
        series.cost.learn(full=kind is SnapshotKind.FULL, seconds=done.seconds, sent=done.sent)
        if not self.schedule.first_protection(series):
            # After a full one, too, content waits only as long as the express snapshot that it needs is worth.
            share, content = self.schedule.spent.share_with(seconds), min(seconds, series.cost.expected_express(0))
            series.rest_until = time.monotonic() + rest_after(content, share, series.vault.config.objective)
        self.health.succeeded()
        await asyncio.to_thread(note_exceptions, self.context.store, series.vault, self.target)
        return done
