"""One target's loop: one run at a time, by its schedule, with back-off; and what somebody asked for.

Full and express snapshots never overlap on a target. A dead target holds up nobody else: each has its own worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Protocol

from vaultd.errors import RootError, VaultdError
from vaultd.model import SnapshotKind
from vaultd.protect import failure
from vaultd.protect.cost import EXPRESS_FILES
from vaultd.protect.health import Prepare
from vaultd.protect.hold import Turn
from vaultd.protect.refs import Context, TargetRef, VaultRef
from vaultd.protect.root import mount_gone
from vaultd.protect.runs import Runs
from vaultd.protect.schedule import IDLE_SECONDS, Round, Series
from vaultd.protect.snapshot import Done

DEMAND_ROUNDS = 6


class Spare(Protocol):
    """Work for when there is nothing to protect. It is ended whenever there is, and begins again later."""

    def due_at(self, now: float) -> float:
        """Not before which moment (monotonic seconds) there is any."""

    async def run(self) -> None:
        """Do some of it; may be cancelled at any moment. Raises VaultdError when the target cannot be used."""


class Urgent(Protocol):
    """Work that goes before everything else (``protect.hurry``)."""

    async def run(self) -> bool:
        """Do all there is. Whether there was any. Raises VaultdError when the target cannot be used."""

    def lets_go_on(self, vault: int, kind: SnapshotKind, size: int) -> bool:
        """Whether an ordinary run of so many bytes that is on its way need not be broken off for it."""


URGENT_WAIT = 3.0
"""So soon a target that failed is tried again then."""


class Worker(Runs):
    """Protects the vaults of one target. ``prepare`` raises VaultdError while the target cannot be used."""

    def __init__(self, context: Context, target: TargetRef, vaults: Iterable[VaultRef], prepare: Prepare) -> None:
        super().__init__(context, target, vaults, prepare)
        self._state = context.config.host.state
        self._wake = asyncio.Event()
        self._busy = Turn(context.config.target_folder(target.config))
        self._demands = 0
        self.spare: Spare | None = None
        """What is done here while there is nothing to protect."""
        self._urgent: Urgent | None = None
        self._attempting: asyncio.Task[Done | None] | None = None

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
        on_its_way = self._urgent is None or self.on_its_way is None or self._urgent.lets_go_on(*self.on_its_way)
        if self._attempting is not None and not on_its_way:
            self._attempting.cancel()  # an evacuation never waits for a full snapshot
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

    def hurry(self, urgent: Urgent | None) -> None:
        """An evacuation begins (None: it is over). The run in motion is interrupted: what it was to send is pending
        still, and goes again in its turn."""
        self._urgent = urgent
        if urgent is not None:
            self.health.retry_at = 0.0
            on_its_way = self.on_its_way is not None and urgent.lets_go_on(*self.on_its_way)
            if self._attempting is not None and not on_its_way:
                self._attempting.cancel()
        self._wake.set()

    @property
    def hurried(self) -> bool:
        """Whether an evacuation goes on here: whatever else there is to do has to wait."""
        return self._urgent is not None

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
                    if self._urgent is not None and chosen.at <= now:
                        with failure.told(self._state):
                            if await self._urgent.run():
                                continue
                    if chosen.at <= now:
                        chosen = await asyncio.to_thread(self.schedule.choose, now, shaky=self.is_shaky())
                        with failure.told(self._state):
                            if chosen.at <= now:
                                await self._interruptible(self.attempt(chosen))
                                continue
                            if not await asyncio.to_thread(self.schedule.owes_content):
                                await self.health.see_whether_it_is_over()
                            await self._spare_time(now)
            except VaultdError as error:
                self.health.failed(error)
                if self._urgent is not None:
                    self.health.retry_at = min(self.health.retry_at, time.monotonic() + URGENT_WAIT)
                continue
            until = chosen.at if self.spare is None else min(chosen.at, self.spare.due_at(time.monotonic()))
            try:
                async with asyncio.timeout(min(IDLE_SECONDS, max(0.01, until - time.monotonic()))):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _spare_time(self, now: float) -> None:
        """Do other work until something is due here, or somebody asks for something."""
        if self.spare is None or self.spare.due_at(now) > now or self._demands or self._urgent is not None:
            return
        await self.health.make_ready()
        working = asyncio.create_task(self.spare.run())
        try:
            while not working.done() and not self._demands and self._urgent is None:
                self._wake.clear()
                now = time.monotonic()
                chosen = await asyncio.to_thread(self.schedule.choose, now, shaky=self.is_shaky())
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

    async def _interruptible(self, run: Coroutine[None, None, Done | None]) -> Done | None:
        """A run that ``hurry`` may break off: None then."""
        self._attempting = attempting = asyncio.create_task(run)
        try:
            return await attempting
        except asyncio.CancelledError:
            this = asyncio.current_task()
            if this is None or this.cancelling():  # this worker itself is to end
                raise
            return None
        finally:
            self._attempting = None
            attempting.cancel()
            await asyncio.gather(attempting, return_exceptions=True)

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
                        changes, kind = await self.take(series, todo, all_due=True)
                        exact = exact or (kind is SnapshotKind.FULL and changes.upto >= upto)
                        done = await self._interruptible(self.run_one(series, kind, changes))
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
                        await self.dump(series, wanted)
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
            kind, batch = self.schedule.kind(series, backlog, shaky=self.is_shaky())
            return Round(0.0, series, kind, batch)
        if full and not exact:
            return Round(0.0, series, SnapshotKind.FULL)
        return None
