"""What a look at a target's files can do, whatever holds them."""

from __future__ import annotations

from typing import Protocol


class Files(Protocol):
    """``sftp.Session``, as far as it is asked for both kinds. Every failure is one of vaultd's errors; a missing file
    is FileNotFoundError."""

    def exists(self, path: str) -> bool:
        """Whether something is there."""

    def names(self, folder: str) -> list[str]:
        """The names in a folder, sorted; none when there is no folder."""

    def sizes(self, folder: str) -> dict[str, int]:
        """The names in a folder with their sizes in bytes; none when there is no folder."""

    def get(self, path: str) -> bytes:
        """A small file's content."""

    def fetch(self, path: str, offset: int, length: int | None, limit: int) -> bytes:
        """A part of a file (None: to its end), at most ``limit`` bytes; shorter where the file is."""

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is fine."""
