"""What vaultd knows between two moments: SQLite (WAL) in the state folder.

``store`` the whole of it as others use it, from ``base`` (names, counters), ``seen`` (what the vaults look like),
``owed`` (what each target lacks) and ``made`` (runs, snapshots, versions). Below: ``database`` connections, ``schema``
tables; ``catalog``, ``pending``, ``records``, ``acknowledgement`` and ``alerts`` the statements on each of them.
"""

from vaultd.store.acknowledgement import Acknowledgement, Bound, Retry
from vaultd.store.alerts import Alert
from vaultd.store.catalog import Entry
from vaultd.store.pending import Backlog, PendingRow
from vaultd.store.records import RunRow, SnapshotRow, VersionRow
from vaultd.store.store import Store

__all__ = [
    "Acknowledgement",
    "Alert",
    "Backlog",
    "Bound",
    "Entry",
    "PendingRow",
    "Retry",
    "RunRow",
    "SnapshotRow",
    "Store",
    "VersionRow",
]
