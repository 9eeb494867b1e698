"""Which evacuation is under way, as far as those who carry things out must know."""

from __future__ import annotations

from vaultd.pull.making import EVACUATION
from vaultd.store import Store

CURRENT = EVACUATION
"""Of the state's values: the identifier of the evacuation under way, empty where there is none."""

DRILL = "DRILL-"


def current(store: Store) -> str:
    """Its identifier, empty where there is none."""
    return store.get_meta(CURRENT) or ""


def is_drill(evacuation: str) -> bool:
    """Whether it is for practice: nothing of it changes the register, or anything real."""
    return evacuation.startswith(DRILL)
