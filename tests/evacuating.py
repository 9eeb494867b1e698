"""What tests of evacuations share: an order as the store keeps it."""

from __future__ import annotations

import time

from vaultd.store import Store
from vaultd.store.evacuations import ORDERED, Evacuation


def ordered(store: Store, number: str) -> None:
    """An evacuation (or drill) of this number goes on; nothing of it is on record."""
    drill = number.startswith("DRILL-")
    assert store.add_evacuation(Evacuation(number, drill, ORDERED, "I", "fire", "uid 0", time.time_ns(), None, "", {}))
