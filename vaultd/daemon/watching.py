"""One vault under watch: hints from the watcher, truth from the reconcile scan, and never trust in silence.

A scan is made at start, after an overflow, when the watcher was restarted, when somebody asks, and every ``reconcile``
seconds. A canary proves twice a minute that the watcher hears. Network file systems are polled.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from vaultd import files
from vaultd.errors import RootError, VaultdError
from vaultd.model import Progress
from vaultd.protect.intake import Intake
from vaultd.protect.refs import Context, VaultRef
from vaultd.protect.root import check_root
from vaultd.watch.canary import Canary
from vaultd.watch.mounts import is_network
from vaultd.watch.observer import Fault, Watcher
from vaultd.watch.scan import ScanResult, scan_in_process

log = logging.getLogger(__name__)

CANARY_SECONDS = 30.0
CANARY_TIMEOUT = 10.0
ROOT_SECONDS = 15.0
POLL_SECONDS = 60.0


class VaultWatch:
    """Keeps one vault's backlog true. ``touched`` is called with the vault's number when something was recorded."""

    def __init__(self, context: Context, vault: VaultRef, touched: Callable[[int], None]) -> None:
        self.context = context
        self.vault = vault
        self.complete = asyncio.Event()
        self._touched = touched
        self._loop = asyncio.get_running_loop()
        self._rescan = asyncio.Event()
        self._scanning = asyncio.Lock()
        self._watcher: Watcher | None = None
        self._intake = Intake(context.store, vault, self._from_thread)
        poll = vault.config.poll
        self._polled = is_network(vault.root) if poll is None else poll
        self._last_scan = 0.0

    def _from_thread(self, vault: int) -> None:
        self._loop.call_soon_threadsafe(self._touched, vault)

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                try:
                    await self._ensure_watcher()
                    await self.scan()
                    await self._watch()
                except VaultdError as error:  # the alert stands; the folder may come back
                    log.warning("vault %s: %s", self.vault.name, error)
                    await self._stop_watcher()
                    await asyncio.sleep(ROOT_SECONDS)
        finally:
            await self._stop_watcher()

    async def scan(self) -> ScanResult:
        """A whole reconcile scan now. Raises RootError when the folder is gone, emptied or replaced."""
        return await scan_vault(self.context, self.vault, self._scanning, self._touched_by_scan)

    def _touched_by_scan(self) -> None:
        self._last_scan = time.monotonic()
        self.complete.set()
        self._touched(self.vault.id)

    async def _watch(self) -> None:
        last_canary = 0.0
        while True:
            wait = POLL_SECONDS if self._polled else min(ROOT_SECONDS, CANARY_SECONDS)
            try:
                async with asyncio.timeout(wait):
                    await self._rescan.wait()
            except TimeoutError:
                pass
            await asyncio.to_thread(check_root, self.context.store, self.vault)
            if self._watcher is not None and not self._watcher.alive():
                await self._stop_watcher()
                await self._ensure_watcher()
                self._rescan.set()
            if self._watcher is not None and time.monotonic() - last_canary >= CANARY_SECONDS:
                await self._check_canary(self._watcher)
                last_canary = time.monotonic()
            due = time.monotonic() - self._last_scan >= self.vault.config.reconcile
            if self._polled or due or self._rescan.is_set():
                self._rescan.clear()
                if self._watcher is not None and self._watcher.take_overflow():
                    await asyncio.to_thread(self._watcher.rewatch)
                    await self.scan()
                    self.context.store.alerts.clear("watch-overflow", vault=self.vault.name)
                else:
                    await self.scan()

    # the watcher

    async def _ensure_watcher(self) -> None:
        if self._polled or self._watcher is not None:
            return
        folder = self.context.config.host.state / "canary" / self.vault.name
        files.make_private_directory(folder)
        canary = Canary(folder)
        watcher = Watcher(
            Path(self.vault.config.path), self.vault.name, self._intake.take, on_fault=self._fault, canary=canary
        )  # fmt: skip
        coverage = await asyncio.to_thread(watcher.start)
        self._watcher, self._canary = watcher, canary
        if not coverage.unwatched:
            self.context.store.alerts.clear("watch-limit", vault=self.vault.name)

    async def _stop_watcher(self) -> None:
        if self._watcher is not None:
            watcher, self._watcher = self._watcher, None
            await asyncio.to_thread(watcher.stop)

    def _fault(self, fault: Fault) -> None:
        """Called in the watcher's thread."""
        code = {Fault.WATCH_LIMIT: "watch-limit", Fault.UNWATCHED: "watch-limit", Fault.OVERFLOW: "watch-overflow"}
        if fault in code:
            self.context.store.alerts.raise_(code[fault], vault=self.vault.name)
        self._loop.call_soon_threadsafe(self._rescan.set)

    async def _check_canary(self, watcher: Watcher) -> None:
        alerts = self.context.store.alerts
        if await self._canary.check_async(CANARY_TIMEOUT):
            alerts.clear("watch-dead", vault=self.vault.name)
            return
        alerts.raise_("watch-dead", vault=self.vault.name)
        log.error("vault %s: the watcher does not hear any more; starting another", self.vault.name)
        await self._stop_watcher()
        await self._ensure_watcher()
        self._rescan.set()


async def scan_vault(
    context: Context, vault: VaultRef, lock: asyncio.Lock, touched: Callable[[], None]
) -> ScanResult:  # fmt: skip
    """One reconcile scan in a process of its own; totals and "complete as of" are kept. One at a time per vault."""
    async with lock:
        store = context.store
        await asyncio.to_thread(check_root, store, vault)
        begun = time.time_ns()

        def moved(seen: int) -> None:
            total = max(seen, store.totals(vault.id)[0])
            context.on_progress(Progress("scan", vault.name, "", "", seen, total, 0, 0, 0.0, None))

        result = await scan_in_process(store, vault.id, vault.targets, vault.root, on_progress=moved)
        complete = None if result.unreadable or result.skipped_mounts else begun
        store.set_totals(vault.id, result.files, result.bytes, complete)
        context.on_progress(Progress("done", vault.name, "", "", result.files, result.files, 0, 0, 0.0, 0.0))
        touched()
        return result


def blocked(error: VaultdError) -> bool:
    """Whether an error is about the vault's folder alone."""
    return isinstance(error, RootError)
