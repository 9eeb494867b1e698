"""How much of what is at a target was read back within the period, for ``status``; and the alerts about it: of the
files as they are now, and of all that is stored there, which older snapshots need too.

Counted when a verification ends, and kept: it looks at every path, and ``status`` must be quick.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vaultd import custody
from vaultd.ledger.events import AlertChanged
from vaultd.store import Store
from vaultd.store.alerts import OnChange
from vaultd.verify import packs

SINCE = "verify:since"
"""When this host began to verify: nothing is overdue before a whole period has gone by."""


def update(store: Store, target: str, vaults: Sequence[str], period: float) -> dict[str, Any]:
    """Count, keep, and raise or clear the alerts; ``vaults``: all that are at the target. Returns what is kept."""
    now, number = time.time_ns(), store.target_id(target)
    begun = int(store.get_meta(SINCE) or 0)
    if not begun:
        begun = now
        store.set_meta(SINCE, str(begun))
    since = now - int(period * 1e9)
    parts = [store.coverage(number, store.vault_id(vault), since) for vault in vaults]
    stored = store.pack_coverage(number, since)
    oldest = min((one.oldest for one in parts if one.oldest is not None), default=None)
    found = {
        "as_of": now, "period": period, "files": sum(one.files for one in parts),
        "bytes": sum(one.bytes for one in parts), "verified_files": sum(one.verified_files for one in parts),
        "verified_bytes": sum(one.verified_bytes for one in parts), "oldest": oldest,
        "stored": {
            "packs": stored.packs, "bytes": stored.bytes, "read_packs": stored.read_packs,
            "read_bytes": stored.read_bytes, "oldest": stored.oldest, "damaged": stored.faults,
        },
    }  # fmt: skip
    store.note_coverage(target, found)
    packs.settle(store, target)
    late = [one for one in (oldest, stored.oldest) if one is not None]
    if late and max(min(late), begun) < since:
        store.alerts.raise_("verify-overdue", target=target, detail={"objective_seconds": period})
    else:
        store.alerts.clear("verify-overdue", target=target)
    for vault in vaults:
        settle(store, target, vault)
    return found


def settle(store: Store, target: str, vault: str) -> None:
    """Raise the alert of a vault's differences at a target, or clear it when none stands."""
    count = store.count_differences(store.target_id(target), store.vault_id(vault))
    if count:
        store.alerts.raise_("verify-difference", vault=vault, target=target, detail={"files": count})
    else:
        store.alerts.clear("verify-difference", vault=vault, target=target)


def leaver(state: Path) -> OnChange:
    """What is to be told of alerts in a process that is not the daemon: they are left for the ledger."""

    def changed(word: str, code: str, vault: str, target: str, who: str | None) -> None:
        custody.leave(state, AlertChanged(code, word, vault or None, target or None, who))

    return changed
