"""One vault under watch: hints from the watcher, truth from the reconcile scan, and never trust in silence.

A scan is made at start, after an overflow, when the watcher was restarted, when somebody asks, and every ``reconcile``
seconds. A canary proves twice a minute that the watcher hears. Network file systems are polled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from vaultd import files
from vaultd.errors import RootError, VaultdError
from vaultd.model import Progress
from vaultd.protect import failure
from vaultd.protect.intake import Intake
from vaultd.protect.refs import Context, VaultRef
from vaultd.protect.root import check_root, root_lost
from vaultd.watch.canary import Canary
from vaultd.watch.observer import Coverage, Fault
from vaultd.watch.poller import SHARE, HintSource, source_for
from vaultd.watch.result import RootProblem, ScanResult
from vaultd.watch.scanner import scan_in_process

log = logging.getLogger(__name__)

CANARY_SECONDS = 30.0
CANARY_TIMEOUT = 10.0
ROOT_SECONDS = 5.0
"""How soon a vault that is gone, or there again, is seen: a look at its folder and the mounts, next to nothing."""
AGAIN_SECONDS = 15.0
"""After a failure that is not of the folder: the next try scans it all."""
POLL_SECONDS = 30.0


class VaultWatch:
    """Keeps one vault's backlog true. ``touched`` is called with the vault's number when something was recorded, and
    when it was heard of (monotonic seconds; None: a whole scan found it)."""

    def __init__(self, context: Context, vault: VaultRef, touched: Callable[[int, float | None], None]) -> None:
        self.context = context
        self.vault = vault
        self._touched = touched
        self._loop = asyncio.get_running_loop()
        self._rescan = asyncio.Event()
        self._scanning = asyncio.Lock()
        self._watcher: HintSource | None = None
        self._intake = Intake(context.store, vault, self._from_thread, self.ask_for_scan)
        self._last_scan = 0.0
        self._counting = threading.Lock()
        self._asked = 1  # how often a scan was asked for: the first is that of the start
        self._answered = 0  # as of which asking a scan has been made
        self._rewatching = False
        self._withheld = False
        self._unwatched = 0
        self._scan_seconds = 0.0
        self.hurried = False
        """A warning stands that asks for scans as often as they can be had."""

    def _from_thread(self, vault: int, heard: float) -> None:
        self._loop.call_soon_threadsafe(self._touched, vault, heard)

    def use(self, vault: VaultRef) -> None:
        """The same vault with other targets: what is seen from now on is owed to them."""
        self.vault = self._intake.vault = vault

    def ask_for_scan(self) -> None:
        """Have everything looked at again, soon."""
        """From any thread."""
        with self._counting:
            self._asked += 1
        self._loop.call_soon_threadsafe(self._rescan.set)

    def settled(self) -> bool:
        """Whether all that has changed until now is on record, as far as watching can tell: no hint is on its way, none
        was lost, and no scan is outstanding."""
        return self._asked == self._answered and self._watcher is not None and self._watcher.settled()

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                try:
                    with failure.told(self.context.config.host.state):
                        await self._ensure_watcher()
                        await self._scan_as_of(self._asked)
                        await self._watch()
                except VaultdError as error:  # the folder may come back; what is wrong with it has an alert already
                    log.warning("vault %s: %s", self.vault.name, error)
                    gone = isinstance(error, RootError)
                    if gone:  # from wherever it comes: the alert says what is there now
                        await asyncio.to_thread(root_lost, self.context.store, self.vault)
                    else:
                        detail = {"error": error.why or error.what}
                        self.context.store.alerts.raise_("watch-dead", vault=self.vault.name, detail=detail)
                    self.ask_for_scan()
                    await self._stop_watcher()
                    await asyncio.sleep(ROOT_SECONDS if gone else AGAIN_SECONDS)
        finally:
            await self._stop_watcher()

    async def scan(self) -> ScanResult:
        """A whole reconcile scan now. Raises RootError when the folder is gone, emptied or replaced."""
        return await scan_vault(self.context, self.vault, self._scanning, self._touched_by_scan)

    def _touched_by_scan(self) -> None:
        self._last_scan = time.monotonic()
        self._touched(self.vault.id, None)

    async def _watch(self) -> None:
        last_canary = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROOT_SECONDS):
                    await self._rescan.wait()
            state = await asyncio.to_thread(check_root, self.context.store, self.vault)
            if self._withheld and not state.withhold_full:  # a mount is back: what it hid was not looked at
                self.ask_for_scan()
            self._withheld = state.withhold_full
            if self._watcher is None or not self._watcher.alive():
                await self._restart_watcher()
            if self._watcher is not None and time.monotonic() - last_canary >= CANARY_SECONDS:
                await self._check_canary(self._watcher)
                last_canary = time.monotonic()
            due = time.monotonic() - self._last_scan >= self._scan_every()
            if due or self._rescan.is_set():
                await self._catch_up()

    def _scan_every(self) -> float:
        """Seconds from one scan to the next; a vault with folders that cannot be watched is polled, and
        so is one while a warning asks for it."""
        reconcile = self.vault.config.reconcile
        often = self._unwatched or self.hurried
        return min(reconcile, max(POLL_SECONDS, self._scan_seconds / SHARE)) if often else reconcile

    async def _catch_up(self) -> None:
        """Watch what is not watched, then scan: in this order nothing falls between."""
        self._rescan.clear()
        asked = self._asked
        if self._watcher is not None:
            self._watcher.take_overflow()
            self._rewatching = True
            try:
                self._note_coverage(await asyncio.to_thread(self._watcher.rewatch))
            finally:
                self._rewatching = False
        await self._scan_as_of(asked)

    async def _scan_as_of(self, asked: int) -> None:
        """Scan, which answers what was ``asked`` for before."""
        begun = time.monotonic()
        await self.scan()
        if self._watcher is not None:
            self._watcher.scanned(time.monotonic() - begun)
        self._scan_seconds = time.monotonic() - begun
        self._answered = asked
        if self._asked == asked:  # nothing was lost while it was scanned
            self.context.store.alerts.clear("watch-overflow", vault=self.vault.name)

    # the watcher

    async def _ensure_watcher(self) -> None:
        if self._watcher is not None:
            return
        folder = self.context.config.host.state / "canary" / self.vault.name
        files.make_private_directory(folder)
        watcher = source_for(
            Path(self.vault.config.path), self.vault.name, self._intake.take, poll=self.vault.config.poll,
            interval=min(POLL_SECONDS, max(1.0, self.vault.config.objective / 4)), on_fault=self._fault,
            canary=Canary(folder),
        )  # fmt: skip
        self._note_coverage(await asyncio.to_thread(watcher.start))
        self._watcher = watcher

    def _note_coverage(self, coverage: Coverage) -> None:
        self._unwatched = coverage.unwatched
        if not coverage.unwatched:
            self.context.store.alerts.clear("watch-limit", vault=self.vault.name)

    async def _stop_watcher(self) -> None:
        if self._watcher is not None:
            watcher, self._watcher = self._watcher, None
            await asyncio.to_thread(watcher.stop)

    async def _restart_watcher(self) -> None:
        await self._stop_watcher()
        await self._ensure_watcher()
        self.ask_for_scan()

    def _fault(self, fault: Fault) -> None:
        """Called in the watcher's thread."""
        code = {Fault.WATCH_LIMIT: "watch-limit", Fault.UNWATCHED: "watch-limit", Fault.OVERFLOW: "watch-overflow"}
        if fault in code:
            self.context.store.alerts.raise_(code[fault], vault=self.vault.name)
        if not self._rewatching or fault not in (Fault.WATCH_LIMIT, Fault.UNWATCHED):  # a scan follows that anyway
            self.ask_for_scan()

    async def _check_canary(self, watcher: HintSource) -> None:
        alerts = self.context.store.alerts
        try:
            heard = await watcher.hears(CANARY_TIMEOUT)
        except OSError as error:  # a full disk: nothing is proved, neither way
            log.warning("vault %s: the canary cannot be written: %s", self.vault.name, error)
            return
        if heard:
            alerts.clear("watch-dead", vault=self.vault.name)
            return
        alerts.raise_("watch-dead", vault=self.vault.name)
        log.error("vault %s: the watcher does not hear any more; starting another", self.vault.name)
        await self._restart_watcher()


async def scan_vault(
    context: Context, vault: VaultRef, lock: asyncio.Lock, touched: Callable[[], None]
) -> ScanResult:  # fmt: skip
    """One reconcile scan in a process of its own; totals and "complete as of" are kept. One at a time per vault."""
    async with lock:
        store = context.store
        await asyncio.to_thread(check_root, store, vault)
        known = store.totals(vault.id)[0]

        def moved(seen: int, _directories: int, size: int) -> None:
            context.on_progress(Progress("scan", vault.name, "", "", seen, max(seen, known), size, 0, 0.0, None))

        result = await scan_in_process(
            store.database.path, vault.id, vault.targets, vault.root, on_progress=moved, accept=store.accepted(vault.id)
        )  # fmt: skip
        if result.root_problem is not RootProblem.NONE:
            raise root_lost(store, vault)
        if result.unreadable_count:
            store.alerts.raise_("unread-folders", vault=vault.name, detail={"count": result.unreadable_count})
        else:
            store.alerts.clear("unread-folders", vault=vault.name)
        store.set_totals(vault.id, result.files, result.size, result.began if result.complete else None)
        context.on_progress(
            Progress("done", vault.name, "", "", result.files, result.files, result.size, result.size, 0.0, 0.0)
        )
        touched()
        return result
