"""How a target fares: failures and back-off, the state of the line, and what the next run has to put right first."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from vaultd.errors import HostKeyError, LockedError, StateError, UnreachableError, VaultdError
from vaultd.i18n import _
from vaultd.ledger.events import HostKeyRefused
from vaultd.protect import failure
from vaultd.protect.refs import TargetRef
from vaultd.protect.snapshot import SHAKY, Line
from vaultd.store import Store

log = logging.getLogger(__name__)

REPAIR_BYTES = 16 << 20
"""An upload broken off after this many bytes is worth `restic repair index` before the next try."""

SHAKY_SECONDS = 1800.0
"""So long after a break the line is used with care."""

FLOWING_SECONDS = 3.0
"""A run that has lasted so long before the line broke has got somewhere."""

FLAPPING_SECONDS = 120.0
"""So long after such a run a failure is taken for another break of the same line."""

BROKEN_WAIT = 1.0

RETURN_SECONDS = 300.0
"""The vaults are scanned when a target returns, but not more often than this: the line may break again and again."""

Prepare = Callable[[TargetRef, bool], object]
"""Looks at a target before the first run (locks, repository id, the unacknowledged); True: repair the index too."""


class Health:
    """One target's. ``record`` puts a refused host key on record. ``retry_at``: monotonic seconds before which it is
    left alone after a failure. ``on_return`` is called when it answers again after one."""

    def __init__(
        self, store: Store, target: TargetRef, prepare: Prepare, record: Callable[[HostKeyRefused], None]
    ) -> None:
        self.failures = 0
        self.retry_at = 0.0
        self._store = store
        self._target = target
        self._prepare = prepare
        self._record = record
        self._prepared = False
        self._repair = bool(int(store.get_meta(f"repair:{target.name}") or 0))
        self._broken_bytes = 0  # that a dead process had to send is not known
        self._broke_at: float | None = None
        self._flowed_at: float | None = None
        self._returned_at: float | None = None
        self.on_return: Callable[[], None] | None = None

    def line(self) -> Line:
        """How carefully to use the line now."""
        broke = self._broke_at
        return Line() if broke is None or time.monotonic() - broke > SHAKY_SECONDS else SHAKY

    async def make_ready(self, *, again: bool = False, worth: int = 0) -> None:
        """Look at the target where that is due: at first, after a failure, after a broken upload, or ``again``.

        ``worth``: what a broken upload must have had to send (bytes) for its index to be mended now: less than that is
        sent again sooner.
        """
        repair = self._repair and self._broken_bytes >= worth
        if self._prepared and not repair and not again:
            return
        found = self._prepare(self._target, repair)
        if asyncio.iscoroutine(found):
            await found
        self._prepared = True
        if repair:
            self._set_repair(False)

    def look_again(self) -> None:
        """Look at the target before the next run."""
        self._prepared = False

    def note_broken(self, total: int, error: BaseException, seconds: float) -> None:
        """A run that was to send ``total`` bytes broke off after so many seconds."""
        self._note("locks", "1")
        if isinstance(error, UnreachableError):
            self._broke_at = time.monotonic()
            if seconds >= FLOWING_SECONDS:
                self._flowed_at = time.monotonic()
        if total >= REPAIR_BYTES:
            self._broken_bytes = max(self._broken_bytes, total)
            self._set_repair(True)

    def _set_repair(self, wanted: bool) -> None:
        if not wanted:
            self._broken_bytes = 0
        if wanted != self._repair:
            self._repair = wanted
            self._note("repair", str(int(wanted)))

    def _note(self, key: str, value: str) -> None:
        with contextlib.suppress(StateError):  # a full disk must not hide what went wrong before
            self._store.set_meta(f"{key}:{self._target.name}", value)

    def failed(self, error: VaultdError) -> None:
        """Note a failure: the alert, and when to try again."""
        flowed = self._flowed_at is not None and time.monotonic() - self._flowed_at < FLAPPING_SECONDS
        flowed = flowed and isinstance(error, UnreachableError)
        self.failures = 1 if flowed else self.failures + 1
        self._prepared = False
        self._note("locks", "1")  # whatever ran, it may have died with its lock
        # A line that breaks again and again is no dead target: each try gets somewhere, and the next break is near.
        wait = BROKEN_WAIT if flowed else failure.wait_after(self.failures)
        self.retry_at = time.monotonic() + (min(wait, failure.STATE_WAIT) if isinstance(error, StateError) else wait)
        code = failure.alert_of(error)
        detail = {"error": error.why or error.what, "hint": error.hint}
        if isinstance(error, LockedError):
            detail["owner"] = error.owner or _("another run")
        if self._store.alerts.raise_(code, target=self._target.name, detail=detail):
            log.warning("target %s: %s", self._target.name, error)
            if isinstance(error, HostKeyError):
                self._record(HostKeyRefused(self._target.name, error.why or error.what))

    def succeeded(self) -> None:
        """A run went well: the target's alerts are over."""
        self._answers(failure.CLEARED_BY_SUCCESS)

    def _answers(self, codes: tuple[str, ...]) -> None:
        now = time.monotonic()
        if self.failures:
            log.info("target %s answers again", self._target.name)
            if self.on_return and (self._returned_at is None or now - self._returned_at > RETURN_SECONDS):
                self._returned_at = now
                self.on_return()
        self.failures, self.retry_at = 0, 0.0
        for code in codes:
            self._store.alerts.clear(code, target=self._target.name)

    async def see_whether_it_is_over(self) -> None:
        """Nothing is to be sent, and an alert says that the target cannot be used: without this it would stand until
        the next change. Raises VaultdError when the target still cannot be used."""
        standing = {alert.code for alert in self._store.alerts.list() if alert.target == self._target.name}
        over = standing.intersection(failure.DISPROVED_BY_CONTACT)
        if over:
            await self.make_ready(again=True)
            self._answers(tuple(over))
