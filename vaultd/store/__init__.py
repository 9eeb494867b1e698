"""What vaultd knows between two moments: SQLite (WAL) in the state folder.

``database`` connection, schema and migrations; ``catalog`` what every vault looked like when last seen; ``pending``
what is not
off-site yet, per target; ``records`` runs, snapshots and file versions; ``notes`` alerts, mounts and what else is kept
per vault.
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
