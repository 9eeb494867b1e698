"""Opens packs in a process of its own, beside the one that fetches them: both are interpreter work."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from vaultd.errors import VaultdError
from vaultd.i18n import _
from vaultd.priority import die_with_parent
from vaultd.restic.blobs import Blob, DamagedError, MasterKey, Opener

_opener: Opener | None = None


class Openers:
    """Opens packs; ``alone``: in this process, for a few. Use it as a context manager."""

    def __init__(self, opener: Opener, *, alone: bool) -> None:
        self._opener = opener
        self._pool: ProcessPoolExecutor | None = None
        if not alone:
            # Not forked: this process has threads, and they have locks.
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(1, spawn, _begin, (opener.key, os.getpid()))

    def __enter__(self) -> Openers:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def sizes(self, pack: bytes, blobs: Sequence[Blob]) -> Future[list[int]]:
        """The size of each blob's content, which has the SHA-256 that its id says; -1 where it cannot be opened. Ask
        ``result_of`` for it."""
        done: Future[list[int]] = Future()
        if self._pool is None:
            done.set_result(sizes(self._opener, pack, blobs))
            return done
        try:
            return self._pool.submit(_sizes, pack, blobs)
        except BrokenProcessPool as error:
            done.set_exception(error)
            return done


def result_of(opened: Future[list[int]]) -> list[int]:
    """Wait for it. Raises VaultdError when the process that opens has died."""
    try:
        return opened.result()
    except BrokenProcessPool as error:
        raise VaultdError(
            _("what was fetched cannot be opened"), _("the process that does so has ended"),
            _("is memory short? look for the out-of-memory killer: journalctl -k"),
        ) from error  # fmt: skip


def sizes(opener: Opener, pack: bytes, blobs: Sequence[Blob]) -> list[int]:
    """As ``Openers.sizes``."""
    found, known = list[int](), dict[bytes, int]()
    for blob in blobs:
        size = known.get(blob.id)
        if size is None:
            try:
                size = len(opener.blob(blob, pack[blob.offset : blob.offset + blob.length]))
            except DamagedError:
                size = -1
            known[blob.id] = size
        found.append(size)
    return found


def _begin(key: MasterKey, parent: int) -> None:
    global _opener
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _opener = Opener(key)


def _sizes(pack: bytes, blobs: Sequence[Blob]) -> list[int]:
    if _opener is None:
        raise RuntimeError("not begun")
    return sizes(_opener, pack, blobs)
