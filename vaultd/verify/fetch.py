"""The files of a repository, as they are: over SFTP, at a rate that may be limited; or from a folder."""

from __future__ import annotations

import contextlib
import posixpath
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from vaultd import sftp
from vaultd.config.model import Config, TargetConfig
from vaultd.restic.blobs import LARGEST_PACK


class Fetch(Protocol):
    """Reads from a repository. Raises FileNotFoundError for what is not there, TargetError for the rest."""

    def names(self, folder: str) -> list[str]:
        """The names in a folder."""

    def get(self, path: str) -> bytes:
        """A whole file."""

    def part(self, path: str, offset: int, length: int) -> bytes:
        """A part of a file; shorter where the file is."""


Fetching = Callable[[], AbstractContextManager[Fetch]]


class _Remote:
    def __init__(self, session: sftp.Session, folder: str, limit: int | None) -> None:
        self._session, self._folder, self._limit = session, folder, limit

    def names(self, folder: str) -> list[str]:
        return self._session.names(posixpath.join(self._folder, folder))

    def get(self, path: str) -> bytes:
        return self._paced(lambda: self._session.fetch(posixpath.join(self._folder, path), 0, None, LARGEST_PACK))

    def part(self, path: str, offset: int, length: int) -> bytes:
        return self._paced(
            lambda: self._session.fetch(posixpath.join(self._folder, path), offset, length, LARGEST_PACK)
        )

    def _paced(self, read: Callable[[], bytes]) -> bytes:
        begun = time.monotonic()
        found = read()
        if self._limit is not None:
            time.sleep(max(0.0, len(found) / (self._limit * 1024) - (time.monotonic() - begun)))
        return found


class Local:
    """A repository in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self, folder: str) -> list[str]:
        """The names in a folder."""
        return sorted(path.name for path in (self._folder / folder).iterdir())

    def get(self, path: str) -> bytes:
        """A whole file."""
        return (self._folder / path).read_bytes()

    def part(self, path: str, offset: int, length: int) -> bytes:
        """A part of a file."""
        with (self._folder / path).open("rb") as stream:
            stream.seek(offset)
            return stream.read(length)


def of_target(config: Config, target: TargetConfig, limit: int | None = None) -> Fetching:
    """From a target. ``limit``: KiB/s."""

    @contextlib.contextmanager
    def fetching() -> Iterator[Fetch]:
        with sftp.connect(target, config.known_hosts(target)) as session:
            yield _Remote(session, target.path, limit)

    return fetching
