"""The one place where versions and snapshots become a record. Until the ledger (issue 3) the record is the state
database.

Nothing counts as protected before ``record`` has returned.
"""

from __future__ import annotations

from vaultd.store import Acknowledgement, Store


def record(store: Store, done: Acknowledgement) -> int:
    """Record what a snapshot settles, and only then acknowledge it for its target. Returns the snapshot's number."""
    return store.acknowledge(done)
