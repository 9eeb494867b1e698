"""Media that were prepared as targets and are plugged in: each gets a worker as every target has one, for as long as it
is there. They come and go while the daemon runs; what is on them stays owed or safe as it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from vaultd.config import MediumTarget
from vaultd.daemon.assembly import Assembly, worker_at
from vaultd.daemon.watching import VaultWatch
from vaultd.errors import StateError, VaultdError
from vaultd.evacuate import medium
from vaultd.protect.refs import VaultRef
from vaultd.protect.worker import Worker

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class MediaWorkers:
    """The task of the daemon. ``connect`` ties a worker to the watches."""

    def __init__(
        self, assembly: Assembly, watches: Mapping[str, VaultWatch], connect: Callable[[Worker], None]
    ) -> None:
        self._assembly, self._watches, self._connect = assembly, watches, connect
        self._running: dict[str, asyncio.Task[None]] = {}

    def take_up(self) -> None:
        """Those that are plugged in at the start: before the first scan, which finds what they are owed."""
        for target in self._plugged():
            self._add(target)

    async def run(self) -> None:
        """Until cancelled."""
        for name, worker in self._assembly.workers.items():
            if isinstance(worker.target.config, MediumTarget):
                self._start(name, worker)
        try:
            while True:
                try:
                    await self._look()
                except StateError as error:
                    log.error("media cannot be looked at: %s", error)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _plugged(self) -> list[MediumTarget]:
        return medium.plugged(self._assembly.context.config, self._assembly.store)

    async def _look(self) -> None:
        found = {target.name: target for target in await asyncio.to_thread(self._plugged)}
        for name, target in found.items():
            if name not in self._assembly.workers:
                try:
                    worker = self._add(target)
                except StateError:
                    raise
                except VaultdError as error:
                    log.error("medium %s: %s", name, error)
                    continue
                self._start(name, worker)
                log.info("medium %s is plugged in: a target like every other", name)
        known = set(await asyncio.to_thread(self._known))
        for name in [one for one in self._running if one not in known]:
            await self._drop(name)
            log.info("medium %s is no target any more", name)

    def _known(self) -> list[str]:
        return [one.label for one in medium.prepared(self._assembly.store)]

    def _add(self, target: MediumTarget) -> Worker:
        vaults = self._assembly.vaults
        worker = worker_at(self._assembly.context, target, vaults.values())
        self._assembly.workers[target.name] = worker
        for series in worker.schedule.series.values():
            self._use(series.vault)
        self._connect(worker)
        return worker

    def _use(self, vault: VaultRef) -> None:
        """Whoever sees a change notes it for the medium too."""
        self._assembly.vaults[vault.name] = vault
        if vault.name in self._watches:
            self._watches[vault.name].use(vault)
        for worker in self._assembly.workers.values():
            if vault.id in worker.schedule.series:
                worker.schedule.series[vault.id].vault = vault

    def _start(self, name: str, worker: Worker) -> None:
        self._running[name] = asyncio.create_task(worker.run(), name=f"medium {name}")

    async def _drop(self, name: str) -> None:
        """It was finished: nothing of it is held open, and nothing is owed to it."""
        task = self._running.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        worker = self._assembly.workers.pop(name)
        worker.close()
        for vault in list(self._assembly.vaults.values()):
            without = tuple(one for one in vault.targets if one != worker.target.id)
            self._use(VaultRef(vault.id, vault.name, vault.root, without, vault.config))
