"""One thin function per restic command that vaultd uses; each returns typed values and raises classes of vaultd.errors.

Paths that go in are bytes; what comes out of restic's JSON is text with U+FFFD for bytes that are not UTF-8 (compare
with ``names.replaced``), except from ``cat_tree``, which keeps every byte.
"""

from __future__ import annotations

from vaultd.restic.commands.backup import BackupError, BackupResult, backup, backup_command
from vaultd.restic.commands.look import (
    Lock,
    Node,
    Stats,
    cat_tree,
    count_tagged,
    key_id,
    list_locks,
    lost_blobs,
    ls,
    repository_id,
    snapshots,
    stats,
)
from vaultd.restic.commands.maintain import forget, init, repair_index, set_tags
from vaultd.restic.commands.restore import RestoreResult, dump, dump_into, restore

__all__ = [
    "BackupError",
    "BackupResult",
    "Lock",
    "Node",
    "RestoreResult",
    "Stats",
    "backup",
    "backup_command",
    "cat_tree",
    "count_tagged",
    "dump",
    "dump_into",
    "forget",
    "init",
    "key_id",
    "list_locks",
    "lost_blobs",
    "ls",
    "repair_index",
    "repository_id",
    "restore",
    "set_tags",
    "snapshots",
    "stats",
]
