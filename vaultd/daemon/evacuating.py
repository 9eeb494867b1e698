"""Evacuations in the daemon: takes up whatever order there is in the store, sets every worker to it, and keeps account.

The order is looked for twice a second, and at once when the control socket brings one: a command that could not reach a
daemon has left it in the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from vaultd.approvals import Caller
from vaultd.daemon.assembly import Assembly
from vaultd.daemon.watching import VaultWatch
from vaultd.errors import StateError
from vaultd.evacuate import company, order
from vaultd.evacuate.journal import EvacuationJournal
from vaultd.i18n import _
from vaultd.notices.telling import teller
from vaultd.protect.estimate import numbers_of_tiers
from vaultd.protect.hurry import Hurry
from vaultd.protect.refs import VaultRef
from vaultd.protect.worker import Worker
from vaultd.restic.proc import boot_id
from vaultd.store.evacuations import ORDERED, SAFE, SENDING, Evacuation

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5

KeepStep = Callable[[], Awaitable[bool]]
"""Brings the kept pull list into step with what is safe now; may be called often."""


@dataclass(slots=True)
class _Going:
    """The evacuation that goes on."""

    one: Evacuation
    journal: EvacuationJournal
    hurries: dict[str, Hurry] = field(default_factory=dict)
    known: dict[int, int] = field(default_factory=dict)
    """By vault: since when (ns) all is on record that had changed in it when it was ordered."""


class Evacuator:
    """The task of the daemon. ``watches`` by the names of their vaults."""

    def __init__(self, assembly: Assembly, watches: Mapping[str, VaultWatch], keep_step: KeepStep) -> None:
        self._assembly = assembly
        self._keep_step = keep_step
        self._watches = watches
        self._store = assembly.store
        self._state = assembly.context.config.host.state
        self._started = time.time_ns()
        self._going: _Going | None = None
        self._wake = asyncio.Event()
        self._tell = teller(assembly.context.config)

    def wake(self) -> None:
        """There is an order, or an end."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._look()
            except StateError as error:  # a full disk has its alert; the next look tries again
                log.error("the evacuation cannot be kept account of: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()
            self._wake.clear()

    async def _look(self) -> None:
        found = await asyncio.to_thread(order.going_on, self._store)
        going = self._going
        if going is not None and (found is None or found.id != going.one.id):
            self._stop(going)
            going = None
        if found is None:
            return
        if going is None:
            journal = EvacuationJournal(self._store, self._state, found)
            left = await asyncio.to_thread(journal.find_left)  # whatever the clock says of when it was ordered
            if left or found.ordered < self._started or found.boot != boot_id():
                found = await asyncio.to_thread(order.take_up, self._store, self._state, found)
            going = self._begin(found, journal)
        going.one = found
        self._follow_media(going)
        if not found.detail.get("followed"):
            caller = Caller(found.detail.get("requester", found.who), found.detail.get("account", ""), found.who)
            config = self._assembly.context.config
            going.one = await asyncio.to_thread(company.follow, config, self._store, found, caller, self._tell)
        if await asyncio.to_thread(self._account, going):
            self._assembly.context.custody.hurry()
        await self._keep_step()

    def _begin(self, found: Evacuation, journal: EvacuationJournal) -> _Going:
        """Everything else stops, and the workers send; what is written of it comes after that."""
        going = self._going = _Going(found, journal)
        for name, worker in self._assembly.workers.items():
            self._hurry(going, name, worker)
        for watch in self._watches.values():
            watch.ask_for_scan()
        log.warning("evacuation %s goes on: level %s, %s", found.id, found.level, found.category)
        return going

    def _hurry(self, going: _Going, name: str, worker: Worker) -> None:
        numbers = numbers_of_tiers([vault.config.priority for vault in self._assembly.vaults.values()])
        hurry = Hurry(
            self._assembly.context, worker.target, worker.health, list(worker.schedule.series.values()), numbers,
            going.journal,
        )  # fmt: skip
        going.hurries[name] = hurry
        worker.hurry(hurry)

    def _follow_media(self, going: _Going) -> None:
        """A medium that was plugged in since takes part; one that was finished is let go."""
        for name, worker in self._assembly.workers.items():
            if name not in going.hurries:
                self._hurry(going, name, worker)
        for name in [one for one in going.hurries if one not in self._assembly.workers]:
            going.hurries.pop(name).over = True

    def _stop(self, going: _Going) -> None:
        for name, hurry in going.hurries.items():
            hurry.over = True
            if name in self._assembly.workers:
                self._assembly.workers[name].hurry(None)
        self._going = None
        log.warning("evacuation %s has ended", going.one.id)
        company.say(self._assembly.context.config, going.one, "ended", self._tell)

    # keeping account (in a thread)

    def _account(self, going: _Going) -> bool:
        """Bring what is kept of it up to date. Whether there is anything new on record."""
        one, planned, new = going.one, self._store.tiers(going.one.id), False
        if {row.target for row in planned} != set(self._assembly.workers) and self._plan(going):
            planned, new = self._store.tiers(one.id), True
        self._note_known(going)
        objectives = {vault.name: vault.config.objective for vault in self._assembly.vaults.values()}
        # Before the backlog is looked at: a batch that ends between is on record before its tier is.
        sending = {(batch.tier, batch.target) for batch in self._store.batches(one.id, state=SENDING)}
        for row in planned:
            if (row.tier, row.target) in sending:
                continue
            worker = self._assembly.workers.get(row.target)
            if row.state != SAFE and worker is not None and self._is_safe(going, worker, row.vaults):
                new = going.journal.tier_safe(row, objectives) or new
                if row.tier == 1:
                    more = _("tier 1 is safe at {target}").format(target=row.target)
                    company.say(self._assembly.context.config, one, "safe", self._tell, more)
                log.warning("evacuation %s: tier %d is safe at target %s", one.id, row.tier, row.target)
        rows = [row for row in self._store.tiers(one.id) if row.target in self._assembly.workers]
        if one.state == ORDERED and rows and all(row.state == SAFE for row in rows):
            going.one, new = order.copied(self._store, self._state, one), True
            company.say(self._assembly.context.config, going.one, "copied", self._tell)
        return new

    def _note_known(self, going: _Going) -> None:
        """A scan that began after the order has put all on record that had changed until then."""
        for vault in self._assembly.vaults.values():
            if vault.id not in going.known:
                _files, _size, seen = self._store.totals(vault.id)
                if seen is not None and seen >= going.one.ordered:
                    going.known[vault.id] = time.time_ns()

    def _plan(self, going: _Going) -> bool:
        """Note what is pending at the targets of which that is not noted yet."""
        known, new = {row.target for row in self._store.tiers(going.one.id)}, False
        numbers = numbers_of_tiers([vault.config.priority for vault in self._assembly.vaults.values()])
        for name, worker in list(self._assembly.workers.items()):
            if name in known:
                continue
            new = True
            tiers: dict[int, list[VaultRef]] = {}
            for series in worker.schedule.series.values():
                tiers.setdefault(numbers[series.vault.config.priority], []).append(series.vault)
            for tier, vaults in sorted(tiers.items()):
                backlogs = [self._store.backlog(worker.target.id, vault.id) for vault in vaults]
                going.journal.plan(
                    tier, name, [vault.name for vault in vaults], sum(one.files for one in backlogs),
                    sum(one.bytes for one in backlogs),
                )  # fmt: skip
        return new

    def _is_safe(self, going: _Going, worker: Worker, names: tuple[str, ...]) -> bool:
        """Whether a target has all of these vaults as they were when it was ordered. What changes after that goes on
        its way too, and does not keep a tier from being safe: a folder in which somebody works would never be."""
        for vault in (self._assembly.vaults[name] for name in names if name in self._assembly.vaults):
            known = going.known.get(vault.id)
            if known is None:
                return False
            backlog = self._store.backlog(worker.target.id, vault.id)
            if backlog.unsafe_since is not None and backlog.unsafe_since <= known:
                return False
        return True
