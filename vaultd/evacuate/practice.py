"""Whether an evacuation was practised as often as [response] ``drill_every`` says; an alert where it was not."""

from __future__ import annotations

import time

from vaultd.config.model import Config
from vaultd.store import Store
from vaultd.units import SECOND

CODE = "drill-overdue"
KNOWN = "drill:since"
"""Under this key: when it was asked for first (ns). Before that nobody had to practise."""


def settle(config: Config, store: Store, now: int | None = None) -> bool:
    """Raise the alert or clear it. Whether it stands."""
    now, every = time.time_ns() if now is None else now, config.response.drill_every
    if every is None:
        store.alerts.clear(CODE)
        return False
    known = store.get_meta(KNOWN)
    if known is None:
        store.set_meta(KNOWN, str(now))
    last = max([one.ordered for one in store.evacuations() if one.drill and one.ended] + [int(known or now)])
    if now - last <= every * SECOND:
        store.alerts.clear(CODE)
        return False
    store.alerts.raise_(CODE, detail={"seconds": (now - last) // SECOND, "every_seconds": every})
    return True
