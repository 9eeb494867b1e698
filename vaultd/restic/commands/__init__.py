"""One thin function per restic command that vaultd uses; each returns typed values and raises classes of vaultd.errors.

Paths that go in are bytes; what comes out of restic's JSON is text with U+FFFD for bytes that are not UTF-8 (compare
with ``names.replaced``), except from ``cat_tree``, which keeps every byte.
"""

from __future__ import annotations

from vaultd.restic.commands.backup import BackupError, BackupResult, backup, backup_command
from vaultd.restic.commands.keys import Key, add_key, list_keys, remove_key
from vaultd.restic.commands.look import (
    Found,
    Lock,
    Node,
    Stats,
    cat_tree,
    count_tagged,
    find_files,
    ids_tagged,
    key_id,
    list_locks,
    lost_blobs,
    ls,
    repository_id,
    snapshots,
    stats,
    withdrawn,
)
from vaultd.restic.commands.maintain import copy, forget, init, init_like, repair_index, set_tags
from vaultd.restic.commands.mend import find_packs
from vaultd.restic.commands.remove import Checked, check, exclude_line, forget_all, prune, rewrite
from vaultd.restic.commands.restore import RestoreResult, dump, dump_into, restore

__all__ = [
    "BackupError",
    "BackupResult",
    "Checked",
    "Found",
    "Key",
    "Lock",
    "Node",
    "RestoreResult",
    "Stats",
    "add_key",
    "backup",
    "backup_command",
    "cat_tree",
    "check",
    "copy",
    "count_tagged",
    "dump",
    "dump_into",
    "exclude_line",
    "find_files",
    "find_packs",
    "forget",
    "forget_all",
    "ids_tagged",
    "init",
    "init_like",
    "key_id",
    "list_keys",
    "list_locks",
    "lost_blobs",
    "ls",
    "prune",
    "remove_key",
    "repair_index",
    "repository_id",
    "restore",
    "rewrite",
    "set_tags",
    "snapshots",
    "stats",
    "withdrawn",
]
