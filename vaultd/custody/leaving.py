"""What a command that is not the daemon has seen happen, left for the ledger."""

from __future__ import annotations

import os
import re
from pathlib import Path

from vaultd import places
from vaultd.custody import forms
from vaultd.ledger import entry
from vaultd.ledger.events import Body
from vaultd.store import Store

_CLAIM = re.compile(r"[A-Za-z0-9._@-]{1,64}", re.ASCII)


def leave(state: Path, body: Body) -> bool:
    """Leave an event for the ledger, for a command that is not the daemon: it goes on record when that runs. False on
    a machine that has no state, such as one that data is restored on. Raises StateError."""
    database = places.database(state)
    if not database.exists():
        return False
    store = Store(database)
    try:
        store.add_event(body.TYPE, entry.fields_of(body))
    finally:
        store.close()
    return True


def owe(store: Store, state: Path, body: Body) -> None:
    """Leave an event for the ledger in the transaction that is open, with what it tells of: there is never the one
    without the other. Raises StateError."""
    body = forms.fitting(state, body)
    store.add_event(body.TYPE, entry.fields_of(body))


def caller() -> str:
    """Who runs this process, as entries have it. Under sudo the name behind it is a claim, no more."""
    claim = os.environ.get("SUDO_USER", "")
    return f"uid {os.geteuid()} (says {claim})" if _CLAIM.fullmatch(claim) else f"uid {os.geteuid()}"
