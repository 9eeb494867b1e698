"""The files of a repository, read as they are, by what does without restic."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class Fetch(Protocol):
    """Reads from a repository. Raises FileNotFoundError for what is not there, TargetError for the rest."""

    def names(self, folder: str) -> list[str]:
        """The names in a folder."""

    def sizes(self, folder: str) -> dict[str, int]:
        """The names in a folder with their sizes in bytes."""

    def get(self, path: str) -> bytes:
        """A whole file."""

    def part(self, path: str, offset: int, length: int) -> bytes:
        """A part of a file; shorter where the file is."""


Fetching = Callable[[], AbstractContextManager[Fetch]]


class Local:
    """A repository in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self, folder: str) -> list[str]:
        """The names in a folder."""
        return sorted(path.name for path in (self._folder / folder).iterdir())

    def sizes(self, folder: str) -> dict[str, int]:
        """The names in a folder with their sizes in bytes."""
        return {path.name: path.stat().st_size for path in (self._folder / folder).iterdir()}

    def get(self, path: str) -> bytes:
        """A whole file."""
        return (self._folder / path).read_bytes()

    def part(self, path: str, offset: int, length: int) -> bytes:
        """A part of a file."""
        with (self._folder / path).open("rb") as stream:
            stream.seek(offset)
            return stream.read(length)


def in_folder(url: str) -> Fetching | None:
    """For restic's repository string, where that is the path of a folder; None for what is elsewhere."""
    return (lambda: contextlib.nullcontext(Local(Path(url)))) if url.startswith("/") else None
