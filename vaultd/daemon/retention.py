"""Retention by the daemon itself, for vaults that say ``auto = true``: once a day, in the window of [maintenance].

Protection goes before it: while it has a target to itself and a vault there would miss its objective, it is broken off,
and tried again an hour later. What forbids it (an alert of a mass change, dates that cannot be true, a server that does
not let us remove) is an alert.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime

from vaultd.config.retention import RetentionConfig
from vaultd.daemon.assembly import Assembly
from vaultd.errors import StateError, VaultdError
from vaultd.i18n import _
from vaultd.protect.recorded import STATE_VAULT
from vaultd.protect.worker import Worker
from vaultd.retain.forget import Done, carry_out, look, refuse_odd
from vaultd.retain.place import Place

log = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
WATCH_SECONDS = 5.0
EVACUATION_SECONDS = 0.25
AGAIN_SECONDS = 3600.0
SHARE_OF_OBJECTIVE = 0.5
"""So old content that is nowhere may become while old snapshots are removed, as a share of its vault's objective."""


class Retention:
    """The task of the daemon. ``clock`` gives the host's local time."""

    def __init__(self, assembly: Assembly, clock: Callable[[], datetime] = datetime.now) -> None:
        self._assembly = assembly
        self._config = assembly.context.config
        self._clock = clock
        self._not_before: dict[tuple[str, str], float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.once()

    async def once(self) -> None:
        """All that is due now, one target after the other. A failure is an alert."""
        now = self._clock()
        if not self._config.maintenance.is_open(now.hour * 60 + now.minute):
            return
        for worker in self._assembly.workers.values():
            if worker.hurried:
                continue
            for vault, root, policy in self._of(worker):
                key = (vault, worker.target.name)
                if self._done(key) == f"{now:%Y-%m-%d}" or self._not_before.get(key, 0.0) > time.monotonic():
                    continue
                self._not_before[key] = time.monotonic() + AGAIN_SECONDS
                if await self._told(worker, self._place(worker, vault, root, policy)):
                    self._assembly.store.set_meta(_key(key), f"{now:%Y-%m-%d}")

    def _of(self, worker: Worker) -> list[tuple[str, bytes, RetentionConfig]]:
        """The vaults of a target that say so, and with them vaultd's own state."""
        own = [vault for vault in self._assembly.vaults.values() if worker.target.id in vault.targets]
        found = [(one.name, one.root, one.config.retention) for one in own if one.config.retention.auto]
        return [*found, (STATE_VAULT, b"", RetentionConfig())] if found else []

    def _done(self, key: tuple[str, str]) -> str | None:
        return self._assembly.store.get_meta(_key(key))

    def _place(self, worker: Worker, vault: str, root: bytes, policy: RetentionConfig) -> Place:
        target, context = worker.target, self._assembly.context
        return Place(
            self._config, target.config, target.repository, self._config.host.name, vault, root, policy, "daemon",
            context.custody.note, context.store, None if vault == STATE_VAULT else self._config.ledger_folder,
        )  # fmt: skip

    async def _told(self, worker: Worker, place: Place) -> bool:
        """Do it; what stops it is an alert. False when it was broken off."""
        alerts, names = self._assembly.store.alerts, {"vault": place.vault, "target": place.target.name}
        try:
            done = await self._alone(worker, place)
            if done is None:
                log.info("target %s: retention was broken off, protection goes before", place.target.name)
                return False
            if done.left or done.faults:
                what = _("retention of vault {vault}").format(vault=place.vault)
                why = _("{left} snapshots could not be removed; the check of the rest found {faults} faults")
                raise VaultdError(what, why.format(left=len(done.left), faults=done.faults))
        except StateError:
            raise
        except VaultdError as error:
            log.warning("target %s: retention of vault %s: %s", place.target.name, place.vault, error)
            alerts.raise_("retention", **names, detail={"error": error.why or error.what})
            return True  # tomorrow again
        alerts.clear("retention", **names)
        log.info("target %s: %d snapshots of vault %s forgotten", names["target"], len(done.forgotten), place.vault)
        return True

    async def _alone(self, worker: Worker, place: Place) -> Done | None:
        async with worker.alone():
            task = asyncio.create_task(self._carry_out(place))
            try:
                look_at = time.monotonic() + WATCH_SECONDS
                while not task.done():
                    await asyncio.wait([task], timeout=EVACUATION_SECONDS)
                    if not task.done() and worker.hurried:
                        return None
                    if not task.done() and time.monotonic() >= look_at:
                        look_at = time.monotonic() + WATCH_SECONDS
                        if await asyncio.to_thread(self._urgent, worker):
                            return None
                return task.result()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _carry_out(self, place: Place) -> Done:
        plan = await look(place)
        place.refuse_while_alarmed()
        refuse_odd(place, plan.choice.odd)
        return await carry_out(place, plan, prune=bool(plan.ids))

    def _urgent(self, worker: Worker) -> bool:
        """Whether content of a vault there waits too long already."""
        store, now = self._assembly.store, time.time_ns()
        for vault in self._assembly.vaults.values():
            if worker.target.id in vault.targets:
                since = store.backlog(worker.target.id, vault.id).unsafe_since
                if since is not None and (now - since) / 1e9 > SHARE_OF_OBJECTIVE * vault.config.objective:
                    return True
        return False


def _key(key: tuple[str, str]) -> str:
    return f"retained:{key[0]}:{key[1]}"
