"""Which evacuation is under way, as far as those who carry things out must know."""

from __future__ import annotations

import re

from vaultd.errors import ConfigError
from vaultd.i18n import _
from vaultd.store import Store

DRILL = "DRILL-"
_SHAPE = re.compile(r"(?:E|DRILL)-\d{4}-\d{3,}", re.ASCII)


def checked(evacuation: str) -> str:
    """An identifier as somebody typed it. Raises ConfigError for what is none."""
    if evacuation and not _SHAPE.fullmatch(evacuation):
        raise ConfigError(
            _("evacuation {text}").format(text=ascii(evacuation)), _("this is not the number of an evacuation"),
            _("numbers are E-2026-001, of drills DRILL-2026-001; see: vaultd evacuate status"),
        )  # fmt: skip
    return evacuation


def current(store: Store) -> str:
    """Its identifier, empty where there is none."""
    found = store.open_evacuation() or store.open_evacuation(drill=True)
    return "" if found is None else found.id


def is_drill(evacuation: str) -> bool:
    """Whether it is for practice: nothing of it changes the register, or anything real."""
    return evacuation.startswith(DRILL)
