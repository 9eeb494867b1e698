"""What is owed for too long is an alert."""

from __future__ import annotations

import time

from vaultd.store import Store
from vaultd.units import SECOND

GRACE = 86400 * SECOND
"""So long (nanoseconds) an approval may be owed before it is an alert; it is an open item at once."""


def raise_alerts(store: Store, now: int | None = None) -> None:
    """Raise the alert for approvals that are owed for longer than a day, or clear it. Raises StateError."""
    now = time.time_ns() if now is None else now
    found = store.approval_counts(now)
    if found.late_since is not None and now - found.late_since > GRACE:
        detail = {"count": found.late, "seconds": (now - found.late_since) // SECOND}
        store.alerts.raise_("approval-late", detail=detail)
    else:
        store.alerts.clear("approval-late")
