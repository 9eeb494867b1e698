"""How much a repository stores, as the server's file system counts it."""

from __future__ import annotations

import posixpath

from vaultd.sftp.session import Session

_PACK_FOLDER = 2
"""Letters in the name of a folder of packs."""


def data_bytes(session: Session, path: str) -> int:
    """Bytes of the packs of the repository in a folder; 0 where there is none. Blocks. Raises as ``Session.names``."""
    folder = posixpath.join(path, "data")
    return sum(
        size
        for name in session.names(folder)
        if len(name) == _PACK_FOLDER
        for size in session.sizes(posixpath.join(folder, name)).values()
    )
