"""What vaultd knows between two moments: SQLite (WAL) in the state folder.

``store`` the whole of it as others use it, from ``base`` (names, counters), ``seen`` (what the vaults look like),
``owed`` (what each target lacks), ``made`` (runs, snapshots, versions), ``unrecorded`` (what the ledger lacks),
``verified`` (what was read back), ``media`` (the register of carriers), ``notices`` (who was told), ``approvals``
(persons, requests), ``warnings`` (and playbooks), ``evacuations``. Below: ``database`` connections, ``schema`` and the
``...tables`` modules, ``...rows`` rows; ``catalog``, ``pending``, ``records``, ``acknowledgement``, ``staging`` and
``alerts`` the statements on each.
"""

from vaultd.store.acknowledgement import Acknowledgement, Bound, Put, Retry, bound_version
from vaultd.store.alerts import Alert
from vaultd.store.catalog import Entry
from vaultd.store.mediarows import Medium
from vaultd.store.pending import Backlog, PendingRow
from vaultd.store.records import RunRow, SnapshotRow, VersionRow
from vaultd.store.staging import NewVersion
from vaultd.store.store import Store
from vaultd.store.unrecorded import Event, Signed
from vaultd.store.verified import Coverage, DifferenceRow, VerificationRow

__all__ = [
    "Acknowledgement",
    "Alert",
    "Backlog",
    "Bound",
    "Coverage",
    "DifferenceRow",
    "Entry",
    "Event",
    "Medium",
    "NewVersion",
    "PendingRow",
    "Put",
    "Retry",
    "RunRow",
    "Signed",
    "SnapshotRow",
    "Store",
    "VerificationRow",
    "VersionRow",
    "bound_version",
]
