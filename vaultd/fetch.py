"""The files of a repository on a target, as they are, at a rate that may be limited."""

from __future__ import annotations

import contextlib
import posixpath
import time
from collections.abc import Callable, Iterator

from vaultd import reach
from vaultd.config import AnyTarget, Config
from vaultd.restic.blobs import LARGEST_PACK
from vaultd.restic.fetch import Fetch, Fetching


class _Remote:
    def __init__(self, session: reach.Files, folder: str, limit: int | None) -> None:
        self._session, self._folder, self._limit = session, folder, limit

    def names(self, folder: str) -> list[str]:
        return self._session.names(posixpath.join(self._folder, folder))

    def sizes(self, folder: str) -> dict[str, int]:
        return self._session.sizes(posixpath.join(self._folder, folder))

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


def of_target(config: Config, target: AnyTarget, limit: int | None = None) -> Fetching:
    """From a target. ``limit``: KiB/s."""

    @contextlib.contextmanager
    def fetching() -> Iterator[Fetch]:
        with reach.connect(config, target) as session:
            yield _Remote(session, target.path, limit)

    return fetching
