"""Warnings in the daemon: signals become proposals, who has not answered is told again or the next on the roster is,
notices are handed over, and what a warning sets in motion at once is done.

Everything that it goes by is in the store: a daemon that is killed goes on where the last one was.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from vaultd.config.model import Config
from vaultd.daemon.assembly import Assembly
from vaultd.daemon.verifying import Daily
from vaultd.daemon.watching import VaultWatch
from vaultd.disks import kept as kept_disks
from vaultd.errors import PartialError, StateError, VaultdError
from vaultd.i18n import _
from vaultd.notices.model import Tell
from vaultd.store import Store
from vaultd.store.warningrows import ActionRow, WarningRow
from vaultd.warning import answering, power, response, signals, telling
from vaultd.warning.desk import Desk, root_only
from vaultd.warning.response import Act, Means

log = logging.getLogger(__name__)

TICK_SECONDS = 2.0
POWER_SECONDS = 10.0
DISKS_TICKS = 30
SILENT = 3
"""So often in a row a UPS does not answer before that is an alert."""

WHO = "daemon"


class WarningTask:
    """The task of the daemon. ``tell`` takes notices; None: they are kept until somebody takes them. ``sysfs``: where
    the kernel's power supplies are."""

    def __init__(
        self, config: Config, store: Store, means: Means, tell: Tell | None = None, sysfs: Path = power.SYSFS
    ) -> None:
        self.desk = Desk(config, store, WHO, root_only)
        self._means, self._tell, self._sysfs = means, tell, sysfs
        self._running: dict[tuple[str, str], asyncio.Task[bool]] = {}
        self._silent: dict[str, int] = {}
        self._ticks = itertools.count()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_every(TICK_SECONDS, self.once))
                group.create_task(_every(POWER_SECONDS, self.look_at_power))
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def once(self) -> None:
        """One look at everything but the power. Raises StateError."""
        await asyncio.to_thread(self._look, next(self._ticks) % DISKS_TICKS == 0)
        self._means.hurry(await asyncio.to_thread(response.hurried, self.desk))
        for action in await asyncio.to_thread(response.wanted, self.desk):
            self._begin(action)

    def _look(self, disks: bool) -> None:
        signals.from_alerts(self.desk)
        answering.pursue(self.desk)
        answering.settle_alerts(self.desk)
        if self._tell is not None:
            telling.hand_over(self.desk.store, self._tell)
        if disks:  # last: a kept list that cannot be read holds up nothing else
            signals.note_states(self.desk, signals.disks(kept_disks.last(self.desk.config.host.state)))

    def _begin(self, action: ActionRow) -> None:
        """Each in a task of its own: an evacuation does not wait until everything pending is off-site."""
        key = (action.warning, action.action)
        if key in self._running:
            return
        task = asyncio.create_task(response.carry_out(self.desk, self._means, action), name=f"{key[0]} {key[1]}")
        self._running[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))

    def _ended(self, key: tuple[str, str], task: asyncio.Task[bool]) -> None:
        self._running.pop(key, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("warning %s: %s: %s", *key, task.exception())

    # power

    async def look_at_power(self) -> None:
        """Ask every UPS and the kernel. Of one that does not say nothing is known: an alert, and no signal."""
        config = self.desk.config.response
        found = await asyncio.gather(*(self._ask(name) for name in config.ups))
        states = [one for one in found if one is not None]
        if config.power_supply:
            off = await asyncio.to_thread(power.kernel_is_off, self._sysfs)
            if off is not None:
                states.append(signals.State("power-lost", "power_supply", off, self.desk.config.host.name))
        await asyncio.to_thread(signals.note_states, self.desk, states)

    async def _ask(self, name: str) -> signals.State | None:
        config, alerts = self.desk.config.response, self.desk.store.alerts
        try:
            off = await power.ups_is_off(config.upsc, name, config.ups_timeout)
        except power.PowerError as error:
            log.warning("%s", error)
            self._silent[name] = self._silent.get(name, 0) + 1
            if self._silent[name] == SILENT:
                detail = {"ups": name, "error": error.why}
                await asyncio.to_thread(alerts.raise_, "power-unknown", target=name, detail=detail)
            return None
        self._silent[name] = 0
        await asyncio.to_thread(alerts.clear, "power-unknown", target=name)
        return signals.State("power-lost", name, off, name)


async def _every(seconds: float, look: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Look again and again. What the state cannot take now (a full disk, which has its alert) is tried again."""
    while True:
        try:
            await look()
        except StateError as error:
            log.warning("warnings wait: %s", error)
        await asyncio.sleep(seconds)


def means(assembly: Assembly, watches: Mapping[str, VaultWatch], evacuate: Act | None = None) -> Means:
    """What a running daemon can do at once."""

    async def protect_now(_row: WarningRow) -> None:
        for watch in watches.values():
            watch.ask_for_scan()
        failed = [one for one in await asyncio.gather(*_at_targets(assembly)) if one is not None]
        if failed:
            raise PartialError(_("not everything is off-site yet"), "; ".join(str(one) for one in failed))

    def hurry(on: bool) -> None:
        for watch in watches.values():
            watch.hurried = on
        for worker in assembly.workers.values():
            if isinstance(worker.spare, Daily) and worker.spare.hurried is not on:
                worker.spare.hurried = on
                worker.wake()

    return Means(protect_now, hurry, evacuate)


def _at_targets(assembly: Assembly) -> list[Awaitable[VaultdError | None]]:
    """At every target its vaults by priority, now and without a scan before: what is known to be pending goes first."""
    vaults = sorted(assembly.vaults.values(), key=lambda one: (one.config.priority, one.name))

    async def at(name: str) -> VaultdError | None:
        worker = assembly.workers[name]
        worker.wake(forget_backoff=True)
        first: VaultdError | None = None
        for vault in vaults:
            if worker.target.id not in vault.targets:
                continue
            try:
                await worker.fulfil(vault.id, full=False, upto=assembly.store.seq())
            except VaultdError as error:
                first = first or error
        return first

    return [at(name) for name in assembly.workers]
