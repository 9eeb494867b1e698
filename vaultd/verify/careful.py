"""Go on where a stream broke: folder by folder, and file by file where restic cannot read one of them.

restic ends an archive at the first file whose content it cannot have back, so the files after it are asked for again:
the folders beside it as archives, the files of its own folder one by one. A file counts as lost only when restic fails
with it and answers otherwise: a line that broke is not a damage. Files whose content is in packs that are not there any
more are known by the index, and not asked for one by one: a lost pack may have had thousands.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vaultd.errors import AuthenticationError, HostKeyError, RepositoryError, ResticError, UnreachableError, VaultdError
from vaultd.i18n import _
from vaultd.names import join
from vaultd.restic import commands
from vaultd.restic.process import Repository
from vaultd.verify.expect import Part
from vaultd.verify.reader import FILE, Record
from vaultd.verify.rows import Row
from vaultd.verify.stream import Ended, OnBytes, read_file

AT_ONCE = 3
TRIES = 3
"""restic's words for a pack that is too short are those of a line that breaks. A pack is too short at the same place
each time, and the target answers in between."""

ReadFolder = Callable[[Part, bytes], Awaitable[Ended]]
"""Reads a folder (relative) as an archive, and takes what comes of it."""


@dataclass(slots=True)
class Careful:
    """``take`` is given what was read; ``lost`` is filled when damage is met first."""

    repository: Repository
    stall: float
    read_folder: ReadFolder
    take: Callable[[Part, list[Record]], Awaitable[None]]
    on_bytes: OnBytes
    lost: set[str] | None = None
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def must_answer(self, error: VaultdError) -> None:
        """Raise the error when it is the target that fails, and not what is stored there."""
        if isinstance(error, HostKeyError | AuthenticationError):
            raise error
        if type(error) is not RepositoryError:  # restic has seen that one for itself
            await commands.repository_id(self.repository)

    async def go_on(self, part: Part, folder: bytes, ended: Ended) -> None:
        """After a stream of a folder (relative) broke: read or give up every row that is still wanted there."""
        if ended.error is None:
            return
        await self.must_answer(ended.error)
        try:
            nodes = await self._nodes(part, folder)
        except VaultdError as error:
            await self.must_answer(error)
            await asyncio.to_thread(part.rows.lose, list(part.rows.wanted(folder)), error.why or error.what, lost=False)
            return
        broke = ended.at.strip(b"/")[len(part.rows.prefix) :]
        inner = broke[len(folder) + 1 if folder else 0 :].partition(b"/")[0]
        single = list[Row]()
        for name in sorted(nodes):
            path = join(folder, name) if folder else name
            if nodes[name]["type"] == "dir":
                if next(part.rows.wanted(path), None) is None:
                    continue  # it came whole before the break
                below = Ended(ended.error, ended.at) if name == inner else await self.read_folder(part, path)
                await self.go_on(part, path, below)
        async for row in _directly(part, folder):
            node = nodes.get(row.path.rpartition(b"/")[2])
            if node is None or node["type"] != "file":
                continue  # not in the snapshot: said at the end
            if await self._is_lost(node):
                why = _("the pack that has its content is gone from the repository")
                part.rows.lose([row], why, lost=True)
            else:
                single.append(row)
        await asyncio.gather(*(self.one(part, row) for row in single))

    async def one(self, part: Part, row: Row) -> None:
        """Read one file by itself."""
        path = join(part.snapshot.root, row.path)
        async with self._gate:
            broke_at = list[int]()
            while True:
                ended, found = await read_file(self.repository, part.snapshot.id, path, self.on_bytes, self.stall)
                if found is not None:
                    await self.take(part, [Record(FILE, part.rows.prefix + row.path, found.size, found.sha256)])
                    return
                error = ended.error or ResticError(_("stored content cannot be read"))
                await self.must_answer(error)
                broke_at.append(ended.size)
                if isinstance(error, UnreachableError) and len(broke_at) < TRIES:
                    continue
                if len(set(broke_at)) > 1:
                    raise error
                await asyncio.to_thread(part.rows.lose, [row], error.why or error.what, lost=True)
                return

    async def _nodes(self, part: Part, folder: bytes) -> dict[bytes, dict[str, Any]]:
        where = os.fsdecode(join(part.snapshot.root, folder))
        return await commands.cat_tree(self.repository, f"{part.snapshot.id}:{where}")

    async def _is_lost(self, node: Mapping[str, Any]) -> bool:
        if self.lost is None:
            try:
                self.lost = await commands.lost_blobs(self.repository)
            except ResticError:
                self.lost = set()
        return not self.lost.isdisjoint(node.get("content") or ())


async def _directly(part: Part, folder: bytes) -> Any:
    start = len(folder) + 1 if folder else 0
    for row in await asyncio.to_thread(lambda: [r for r in part.rows.wanted(folder) if b"/" not in r.path[start:]]):
        yield row
