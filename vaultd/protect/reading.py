"""What is done with the files of a change set while restic reads them: found, hashed, and made ready for the record.

When restic has ended, all that is left is to look at them once more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from vaultd import names
from vaultd.errors import StateError
from vaultd.hashing import Hashed, Hasher
from vaultd.model import SnapshotKind
from vaultd.protect.binding import is_of, is_racy
from vaultd.protect.changeset import ChangeSet
from vaultd.protect.refs import Context, VaultRef
from vaultd.store import Bound
from vaultd.watch.look import Look

PAGE = 2000
"""So many files are made ready at a time: others may write to the store in between."""


class Reading:
    """An asynchronous context: it begins at once, and nothing of it is left afterwards."""

    def __init__(self, context: Context, vault: VaultRef, kind: SnapshotKind, run: str, changes: ChangeSet) -> None:
        self._context = context
        self._vault = vault
        self._changes = changes
        self._wanted: list[bytes] = []
        self._hasher: Hasher | None = None
        self._task: asyncio.Task[None] | None = None
        self.hashed: dict[bytes, Hashed] = {}
        self.ready = context.custody.prepared(vault.id, kind, run)
        """What is to go on record should everything stay as it is."""

    async def __aenter__(self) -> Reading:
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, failure: type[BaseException] | None, *more: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._hasher is not None:
            await self._hasher.__aexit__(failure, *more)
        with contextlib.suppress(
            StateError
        ):  # it counts for nothing without its run, and must not hide why that failed
            await asyncio.to_thread(self.ready.discard)

    async def done(self) -> None:
        """Wait until everything is read. Raises what went wrong."""
        if self._task is not None:
            await self._task

    async def _read(self) -> None:
        changes, vault = self._changes, self._vault
        if changes.fill is not None:
            await asyncio.to_thread(changes.fill)
        if changes.check is not None:
            await asyncio.to_thread(changes.check)
        self._wanted = changes.to_hash()
        paths = [names.join(vault.root, path) for path in self._wanted]
        total = sum(changes.files[path].size for path in self._wanted)
        hasher = self._hasher = Hasher(paths, total, sm3="sm3" in self._context.config.ledger.digests)
        more, found = asyncio.Event(), list[Hashed]()
        hashing = asyncio.create_task(hasher.hashes(lambda _files, _bytes: more.set()))
        hashing.add_done_callback(lambda _task: more.set())
        try:
            while not hashing.done() or len(found) < len(hasher.found):
                await more.wait()
                more.clear()
                if len(hasher.found) > len(found) and (len(hasher.found) - len(found) >= PAGE or hashing.done()):
                    page = hasher.found[len(found) : len(found) + PAGE]
                    await asyncio.to_thread(self._prepare, len(found), page)
                    found += page
                    more.set()
            await hashing
        finally:
            hashing.cancel()
            await asyncio.gather(hashing, return_exceptions=True)
        self.hashed = dict(zip(self._wanted, found, strict=True))
        await asyncio.to_thread(self.ready.finish)

    def _prepare(self, first: int, page: Sequence[Hashed]) -> None:
        """Make those ready whose hash is bound, should they stay as they are until restic has ended."""
        files, began, bound = self._changes.files, self._changes.began, list[Bound]()
        for path, got in zip(self._wanted[first : first + len(page)], page, strict=True):
            before = files[path]
            if is_of(got, before) and not is_racy(before, began):
                bound.append(Bound(path, before, got.digest, False, got.sm3 if got.sm3.strip(b"\0") else None))
        self.ready.add(bound)

    async def look_again(self, refused: set[str]) -> None:
        """Restic has ended: what did not stay as it was, or is among ``refused`` (items for which restic reported an
        error), is not ready any more. A file of which nothing is known is no exception."""
        moved = None if self._hasher is None else await self._hasher.moved()
        if moved is None:
            left: set[bytes] = set(self._wanted)
        else:
            left = {self._wanted[number] for number in moved}
            left |= await asyncio.to_thread(self._elsewhere)
        if refused:
            left |= {one.path for one in self.ready.bound if self._is_refused(one.path, refused)}
        await asyncio.to_thread(self.ready.leave_out, left)

    def _is_refused(self, path: bytes, refused: set[str]) -> bool:
        return names.replaced(names.join(self._vault.root, path)) in refused

    def _elsewhere(self) -> set[bytes]:
        """The files that lie below what is no real folder now: ``lstat`` of their path answered for another file."""
        return Look(self._vault.root).elsewhere(one.path for one in self.ready.bound)
