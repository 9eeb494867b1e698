"""The clock: whether it was set back, while the daemon ran or while it did not."""

from __future__ import annotations

import logging
import time

from vaultd.store import Store

log = logging.getLogger(__name__)

SLACK_NS = 1_000_000_000


class ClockCheck:
    """Compares the clock with the latest moment that it, or any snapshot, has ever shown. Writes the alert."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._latest = store.last_time()
        self._before: int | None = None

    def look(self) -> bool:
        """Raise the alert while the clock is behind itself, clear it when it has come past that moment again.

        True when it is behind. Called from time to time.
        """
        now = time.time_ns()
        behind = self._latest - now
        stepped = now < self._latest - SLACK_NS if self._before is None else now < self._before
        self._before = now
        if stepped:
            log.warning("the clock was set back")
            self._store.clock_was_set_back(now)
        if behind > SLACK_NS:
            self._store.alerts.raise_("clock-backwards", detail={"seconds": round(behind / 1e9, 1)})
            return True
        self._latest = max(self._latest, now)
        self._store.alerts.clear("clock-backwards")
        return False
