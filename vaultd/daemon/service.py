"""The daemon as the control API sees it: status, backups that somebody asked for, alerts."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from vaultd import approvals, places, status
from vaultd.approvals import Caller, requests
from vaultd.control.service import BackupRequest, EvacuationRequest, Job
from vaultd.daemon.assembly import Assembly
from vaultd.daemon.backup import backup, chosen, state_of
from vaultd.daemon.evacuating import Evacuator, KeepStep
from vaultd.daemon.watching import VaultWatch, scan_vault
from vaultd.errors import BusyError, NotRunningError, VaultdError
from vaultd.evacuate import company, order, room
from vaultd.i18n import _
from vaultd.model import Progress
from vaultd.protect.refs import VaultRef
from vaultd.pull import kept
from vaultd.store.alerts import Alert
from vaultd.store.evacuations import Evacuation
from vaultd.store.warningrows import WarningRow

log = logging.getLogger(__name__)

MOST_JOBS = 8
KEPT_JOBS = 64


class Board:
    """Every run in motion, by phase, vault and target; a "done" takes its runs off."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], Progress] = {}

    def show(self, progress: Progress) -> None:
        """Keep the newest of each vault and target."""
        key = (progress.vault, progress.target)
        if progress.phase == "done":
            self._runs.pop(key, None)
        else:
            self._runs[key] = progress

    def of(self, vaults: Sequence[str] = ()) -> list[Progress]:
        """The runs of these vaults, or all."""
        return [run for run in self._runs.values() if not vaults or run.vault in vaults]


class DaemonService:
    """Implements ``control.service.Service``."""

    def __init__(
        self, assembly: Assembly, watches: Mapping[str, VaultWatch], board: Board, started: int, keep_step: KeepStep
    ) -> None:
        self.assembly = assembly
        self.watches = watches
        self.board = board
        self.started = started
        self.evacuator = Evacuator(assembly, watches, keep_step)
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def status(self) -> dict[str, Any]:
        """The status document."""
        config = self.assembly.context.config
        now, wall = time.monotonic(), time.time_ns()
        retry = {
            name: wall + int((worker.health.retry_at - now) * 1e9)
            for name, worker in self.assembly.workers.items()
            if worker.health.retry_at > now
        }
        # Before the backlog is read: what was still on its way then must not be called protected.
        unsure = frozenset(name for name, watch in self.watches.items() if not watch.settled())
        live = status.Live(self.started, config.host.state, retry, self.board.of(), unsure)
        raw = places.locate(config.file).raw
        return await asyncio.to_thread(
            status.document, self.assembly.store, config.host.name, status.plans(raw), live
        )  # fmt: skip

    async def request_backup(self, request: BackupRequest) -> Job:
        """Start a backup in the background."""
        vaults = chosen(self.assembly, request.vaults)
        if sum(job.state == "running" for job in self._jobs.values()) >= MOST_JOBS:
            raise BusyError(_("no further backup can be asked for"), _("{count} are running").format(count=MOST_JOBS))
        names = tuple(vault.name for vault in vaults)
        job = Job(secrets.token_hex(8), names, request.full, time.time_ns())
        self._jobs[job.id] = job
        for old in [one for one in self._jobs.values() if one.state != "running"][:-KEPT_JOBS]:
            del self._jobs[old.id]
        task = asyncio.create_task(self._carry_out(job, vaults, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        log.info("backup %s asked for by %s", job.id, request.who)
        return job

    async def end_jobs(self) -> None:
        """End the backups in motion, as long as the store is open for what they write at their end."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry_out(self, job: Job, vaults: list[VaultRef], request: BackupRequest) -> None:
        ticker = asyncio.create_task(self._tick(job))
        try:
            outcomes = await backup(
                self.assembly, vaults, self._scan, full=request.full, accept_empty=request.accept_empty
            )  # fmt: skip
            job.end(state_of(outcomes), time.time_ns(), outcomes)
        except VaultdError as error:
            job.end("failed", time.time_ns(), error=error.as_json())
        except asyncio.CancelledError:
            ended = NotRunningError(
                _("the daemon ended while it was working"), "",
                _("what is not off-site yet stays pending; start the daemon, or run the command again"),
            )  # fmt: skip
            job.end("failed", time.time_ns(), error=ended.as_json())
            raise
        finally:
            ticker.cancel()
            if job.state == "running":
                job.end("failed", time.time_ns())

    async def _tick(self, job: Job) -> None:
        while True:
            await asyncio.sleep(0.5)
            job.show(self.board.of(job.vaults))

    async def _scan(self, vault: VaultRef) -> object:
        watch = self.watches.get(vault.name)
        if watch is not None:
            return await watch.scan()
        return await scan_vault(self.assembly.context, vault, asyncio.Lock(), lambda: None)

    async def job(self, number: str) -> Job | None:
        """A job by its id."""
        return self._jobs.get(number)

    async def progress(self) -> Sequence[Progress]:
        """Every run in motion."""
        return self.board.of()

    async def alerts(self, open_only: bool) -> Sequence[Alert]:
        """Alerts, newest first."""
        return await asyncio.to_thread(self.assembly.store.alerts.list, open_only=open_only)

    async def acknowledge(self, number: int, who: str) -> bool:
        """Somebody has seen an alert."""
        return await asyncio.to_thread(self.assembly.store.alerts.acknowledge, number, who)

    async def approval_requests(self, open_only: bool) -> Sequence[approvals.Request]:
        """The requests, the oldest first."""
        return await asyncio.to_thread(requests.all_of, self.assembly.store, open_only=open_only)

    async def approval_request(self, number: int) -> approvals.Request:
        """One of them."""
        return await asyncio.to_thread(approvals.find, self.assembly.store, number)

    async def approve(self, number: int, signature: str, person: str, who: str) -> approvals.Request:
        """Somebody approves."""

        def go() -> approvals.Request:
            config = approvals.fresh(self.assembly.context.config)
            return approvals.approve(config, self.assembly.store, number, lambda _text: signature, who, person)

        return await asyncio.to_thread(go)

    async def retry(self, target: str) -> None:
        """Try a target now."""
        self.assembly.context.config.target_named(target)
        self.assembly.workers[target].wake(forget_backoff=True)

    async def evacuate(self, request: EvacuationRequest) -> tuple[dict[str, Any], bool]:
        """Order an evacuation: it is kept first, and goes on from there."""
        config, store = self.assembly.context.config, self.assembly.store

        def ordered() -> tuple[Evacuation, bool]:
            said = company.filled(config, request.level, request.category, order.Details(**request.said))
            return order.start(
                store, config.host.state, request.caller, level=request.level, category=request.category,
                details=said if order.going_on(store) is None else order.Details(**request.said), drill=request.drill,
            )  # fmt: skip

        one, new = await asyncio.to_thread(ordered)
        self.evacuator.wake()
        return await asyncio.to_thread(room.document, config, store, one), not new

    async def evacuate_for(self, warning: WarningRow) -> None:
        """What the response policy orders for a warning. A warning for practice moves nothing real."""
        if warning.drill:
            return
        category = warning.category if warning.category in order.CATEGORIES else "other"
        caller = Caller("daemon", "", "daemon")
        await self.evacuate(
            EvacuationRequest(warning.level, category, {"warning": warning.id}, False, caller)
        )  # fmt: skip

    async def evacuation(self) -> dict[str, Any] | None:
        """The document of the evacuation that goes on."""
        config, store = self.assembly.context.config, self.assembly.store
        one = await asyncio.to_thread(order.going_on, store)
        return None if one is None else await asyncio.to_thread(room.document, config, store, one)

    async def end_evacuation(self, caller: Caller, note: str) -> dict[str, Any] | None:
        """End it, with the approvals that the policy asks for."""
        config, store = self.assembly.context.config, self.assembly.store
        one = await asyncio.to_thread(order.going_on, store)
        if one is None:
            return None
        going = one

        def ended() -> Evacuation:
            return company.end(config, store, going, caller, note)

        over = await asyncio.to_thread(ended)
        self.evacuator.wake()
        return await asyncio.to_thread(room.document, config, store, over)

    async def pull_list(self) -> dict[str, Any] | None:
        """The kept pull list."""
        found = await asyncio.to_thread(kept.read, self.assembly.context.config.host.state)
        return None if found is None else kept.document(found)
