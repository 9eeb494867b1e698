"""The daemon reads back by itself what the targets store: portions of a daily share, while there is nothing to protect.

Each is a process of its own (``verify.portion``), started in the target's worker, which ends it when something is due.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

from vaultd.config.model import Config
from vaultd.config.verify import Minutes
from vaultd.errors import AuthenticationError, HostKeyError, MissingRepositoryError, UnreachableError, VaultdError
from vaultd.model import Progress
from vaultd.verify import portion

log = logging.getLogger(__name__)

FIRST_SECONDS = 600.0
"""After a start, what is not protected yet and a first look at everything come first."""

PAUSE_SECONDS = 60.0
"""Between two portions; short periods have shorter ones."""

FAILED_SECONDS = 3600.0
DAY = 86400.0
_KINDS = (UnreachableError, HostKeyError, AuthenticationError, MissingRepositoryError)
TARGET_FAILS = {kind.code: kind for kind in _KINDS}


class Daily:
    """A target's ``protect.worker.Spare``."""

    def __init__(self, config: Config, target: str, on_progress: Callable[[Progress], None]) -> None:
        self._config, self._target, self._show = config, target, on_progress
        scale = min(1.0, config.verify.period / (30 * DAY))
        self._pause, self._failed = PAUSE_SECONDS * scale, FAILED_SECONDS * scale
        self._next = time.monotonic() + FIRST_SECONDS * scale
        self._over_in = ""
        self.hurried = False
        """A warning stands that asks for verification at any time of day, and without pauses."""

    def due_at(self, now: float) -> float:
        """Not before which moment (monotonic seconds) there is something to read back."""
        clock = datetime.now().astimezone()
        window = None if self.hurried else self._config.verify.window
        due = max(self._next, now + opens_in(window, clock.hour * 60 + clock.minute))
        if self._over_in == portion.turn_of(self._config.verify.period):
            due = max(due, now + self._pause)  # until the day is over
        return due

    async def run(self) -> None:
        """Read back a portion. Raises VaultdError when the target cannot be used."""
        self._next = self._after_pause()
        vaults = set[str]()

        def show(progress: Progress) -> None:
            vaults.add(progress.vault)
            self._show(progress)

        try:
            found = await portion.run(self._config.file, self._target, show)
        except VaultdError as error:
            log.warning("target %s: %s", self._target, error)
            self._next = time.monotonic() + self._failed
            return
        finally:
            for vault in vaults:
                self._show(Progress("done", vault, self._target, "", 0, 0, 0, 0, 0.0, None))
        self._next = self._after_pause()
        if found["over"]:
            self._over_in = portion.turn_of(self._config.verify.period)
        if found["differences"]:
            log.error("target %s: %d files are not as on record", self._target, found["differences"])
        if found["damaged"]:
            log.error("target %s: %d packs are gone or not as they were stored", self._target, found["damaged"])
        failed = found["error"]
        if failed is not None:
            log.warning("target %s: verification: %s: %s", self._target, failed["what"], failed["why"])
            self._next = time.monotonic() + self._failed
            if failed["code"] in TARGET_FAILS:
                self._next = 0.0  # the worker waits for the target
                raise _again(failed)

    def _after_pause(self) -> float:
        return time.monotonic() + (0.0 if self.hurried else self._pause)


def opens_in(window: Minutes | None, minute: int) -> float:
    """Seconds until the window opens; 0 while it is open. ``minute``: of the day."""
    if window is None:
        return 0.0
    begin, end = window
    is_open = begin <= minute < end if begin < end else minute >= begin or minute < end
    return 0.0 if is_open else ((begin - minute) % 1440) * 60.0


def _again(error: dict[str, str]) -> VaultdError:
    return TARGET_FAILS[error["code"]](error["what"], error["why"], error["hint"])
