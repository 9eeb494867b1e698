"""How much a repository stores, as the server's file system counts it."""

from __future__ import annotations

import posixpath
from typing import Protocol

_PACK_FOLDER = 2
"""Letters in the name of a folder of packs."""


class Listing(Protocol):
    """What this needs of a session."""

    def names(self, folder: str) -> list[str]:
        """The names in a folder."""

    def sizes(self, folder: str) -> dict[str, int]:
        """The names in a folder with their sizes in bytes."""


def data_bytes(session: Listing, path: str) -> int:
    """Bytes of the packs of the repository in a folder; 0 where there is none. Blocks. Raises as ``Session.names``."""
    folder = posixpath.join(path, "data")
    return sum(
        size
        for name in session.names(folder)
        if len(name) == _PACK_FOLDER
        for size in session.sizes(posixpath.join(folder, name)).values()
    )
