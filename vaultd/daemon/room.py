"""Room on the disk of the state folder: an alert before it is full, and the end of what its being full has raised."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from vaultd.store import Store

LOW_BYTES = 256 << 20
LOW_SHARE = 0.05
"""Less than both is almost full: five percent of a small disk, 256 MiB of any other."""


class RoomCheck:
    """Looks at the free space, and writes the alerts ``state-full`` and, where a write went well again, ``state``."""

    def __init__(self, store: Store, state: Path) -> None:
        self._store = store
        self._state = state

    def look(self) -> None:
        """Called from time to time. Raises StateError when an alert that stands is found to be true."""
        found = shutil.disk_usage(self._state)
        low, alerts = min(LOW_BYTES, LOW_SHARE * found.total), self._store.alerts
        if found.free < low:
            alerts.raise_("state-full", detail={"free_bytes": found.free})
        elif found.free >= 2 * low:
            alerts.clear("state-full")
        standing = [alert for alert in alerts.list() if alert.code == "state"]
        if standing:
            self._store.set_meta("wrote", str(time.time_ns()))
            for alert in standing:
                alerts.clear("state", vault=alert.vault, target=alert.target)
