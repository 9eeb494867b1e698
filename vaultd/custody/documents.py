"""Files that go with the ledger: events too large for an entry, certificates. They go off-site with the state.

Named by the SHA-256 of their content, and never changed. A command of root's makes them for the daemon, which may be
another user and has to read them.
"""

from __future__ import annotations

import os
from pathlib import Path

from vaultd import files

DOCUMENTS = "documents"
"""The folder, in the state folder."""


def keep(state: Path, name: str, content: bytes) -> None:
    """Keep a file; one of this name with this content is fine. Raises OSError."""
    folder = state / DOCUMENTS
    files.make_private_directory(folder)
    files.create_idempotent(folder / name, content)
    for path in (folder, folder / name):
        give_to_owner(state, path)


def give_to_owner(state: Path, path: Path) -> None:
    """What root has made in the state folder is its owner's, the daemon's user. Raises OSError."""
    if os.geteuid() == 0:
        owner = state.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
