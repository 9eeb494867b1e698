"""What a file that is not as on record is: damage, or another version that the snapshot came by.

A full snapshot may hold a version that nobody hashed, since the file changed while restic ran: a row holds for a
snapshot only where restic's node has the row's size and mtime, and no later ctime than was seen when it was bound,
where that is known. And what the ledger says later of a path (another version, that it is gone) explains why an earlier
snapshot is not as expected; so does it that records were destroyed in it on purpose.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from vaultd.errors import AuthenticationError, HostKeyError, UnreachableError, VaultdError
from vaultd.i18n import _
from vaultd.ledger.chain import older
from vaultd.ledger.destroyed import Destroyed, destroyed
from vaultd.ledger.entry import path_of
from vaultd.ledger.events import FileVersion
from vaultd.ledger.reading import Reader
from vaultd.names import join, parent
from vaultd.restic import commands
from vaultd.restic.commands.common import nanoseconds
from vaultd.restic.process import Repository
from vaultd.verify.expect import Part
from vaultd.verify.result import Difference, Verdict
from vaultd.verify.rows import Odd, Row

YOUNG_NS = 60 * 10**9
"""What came into being within a minute before the snapshot may not have been heard of when it was made."""

TRIES = 3
MOST_FOLDERS = 1000
"""So many folders' metadata is asked for; restic is started for each."""

_VERSION = b'"type":"version"'


class Version(NamedTuple):
    """A version of a path as the ledger has it; ``sha256`` None: it was deleted."""

    entry: int
    state: str
    sha256: bytes | None
    size: int
    mtime: int
    change_set: str


class Known(Protocol):
    """What this host's state knows besides the ledger."""

    def is_owed(self, path: bytes) -> bool:
        """Whether a change of the path is not yet at the target."""

    def bound_as(self, path: bytes, sha256: bytes) -> int | None:
        """The file's ctime (nanoseconds) when this hash was bound, where that is known."""


class Nothing:
    """On a machine without the state."""

    def is_owed(self, path: bytes) -> bool:
        """Nobody knows."""
        return False

    def bound_as(self, path: bytes, sha256: bytes) -> int | None:
        """Nobody knows."""
        return None


def history(ledger: Path, vault: str, paths: Iterable[bytes]) -> dict[bytes, list[Version]]:
    """All versions of these paths, the oldest first; those of ledgers that this one continues have the entry -1."""
    wanted, found = set(paths), dict[bytes, list[Version]]()
    if not wanted:
        return found
    newest = Reader(ledger)
    for reader in (*map(Reader, older(ledger, newest)), newest):
        for number, raw in enumerate(reader.in_order()):
            if _VERSION not in raw:
                continue
            one = json.loads(raw)
            path = path_of(one)
            if one["type"] != FileVersion.TYPE or one["vault"] != vault or path is None or path not in wanted:
                continue
            sha256 = one.get("sha256")
            found.setdefault(path, []).append(
                Version(
                    number if reader is newest else -1, one["state"], bytes.fromhex(sha256) if sha256 else None,
                    one.get("size", 0), int(one.get("mtime_ns", 0)), one["change_set"],
                )
            )  # fmt: skip
    return found


@dataclass(slots=True)
class Judge:
    """Says what each odd file of a snapshot is."""

    repository: Repository
    part: Part
    versions: Mapping[bytes, Sequence[Version]]
    known: Known
    destroyed: Destroyed = field(default_factory=Destroyed)
    _folders: dict[bytes, dict[bytes, dict[str, Any]] | None] = field(default_factory=dict)

    async def judge(self, odd: Odd) -> Difference | None:
        """The verdict on one file; None where it is none: restic's archives show a FIFO as an empty file."""
        if odd.row is None and not odd.size:
            node = await self._node(odd.path)
            if node is not None and node["type"] != "file":
                return None
        verdict, why = await self._verdict(odd)
        expected = odd.row.sha256 if odd.row is not None else None
        return Difference(odd.path, verdict, self.part.snapshot.id, expected, odd.found, why)

    async def _verdict(self, odd: Odd) -> tuple[Verdict, str]:
        row = odd.row
        if row is not None and odd.found is None and await self._is_destroyed(odd):
            return Verdict.DESTROYED, ""
        if odd.why:
            return (Verdict.DAMAGED if odd.lost else Verdict.UNREADABLE), odd.why
        if row is None:
            if any(version.sha256 == odd.found for version in self.versions.get(odd.path, ())):
                return Verdict.OTHER, ""
            node = await self._node(odd.path)
            young = node is not None and nanoseconds(node["ctime"]) > self.part.snapshot.time - YOUNG_NS
            return (Verdict.OTHER if young or self._is_owed(odd.path) else Verdict.UNKNOWN), ""
        if odd.found is None:
            return (Verdict.OTHER if self._later(row) or self._is_owed(odd.path) else Verdict.MISSING), ""
        node = await self._node(odd.path)
        if node is None or self._is_of(odd, node):
            return Verdict.DAMAGED, ""
        return Verdict.OTHER, ""

    async def _is_destroyed(self, odd: Odd) -> bool:
        """Whether a file is not there because it was destroyed. What is there and cannot be read is another thing."""
        return self.destroyed.covers(odd.path, self.part.entry) and (not odd.why or await self._is_absent(odd.path))

    async def _is_absent(self, path: bytes) -> bool:
        """Whether the snapshot has no such path, as far as the folders that lead to it can be read."""
        above = b""
        for name in path.split(b"/"):
            nodes = await self._entries(above)
            if nodes is None:
                return False
            if name not in nodes:
                return True
            above = join(above, name) if above else name
        return False

    def _later(self, row: Row) -> bool:
        """Whether the ledger has another version of the file since. The same one, recorded again for another target,
        explains nothing."""
        known = self.versions.get(row.path, ())
        return any(version.entry > self.part.entry and version.sha256 != row.sha256 for version in known)

    def _is_owed(self, path: bytes) -> bool:
        return self.known.is_owed(path)

    def _is_of(self, odd: Odd, node: Mapping[str, Any]) -> bool:
        """Whether the node is of the very version that the row is of."""
        row = odd.row
        if row is None or node.get("size", 0) != row.size:
            return False
        if row.mtime is not None and nanoseconds(node["mtime"]) != row.mtime:
            return False
        # A later ctime in the snapshot: it was changed after it was bound, and mtime set back. An earlier one says
        # nothing: a change of its mode alone makes the catalog's younger.
        bound = self.known.bound_as(odd.path, row.sha256)
        return bound is None or nanoseconds(node["ctime"]) <= bound

    async def _node(self, path: bytes) -> dict[str, Any] | None:
        """The file's metadata as the snapshot has it; None where it cannot be had."""
        return (await self._entries(parent(path)) or {}).get(path.rpartition(b"/")[2])

    async def _entries(self, folder: bytes) -> dict[bytes, dict[str, Any]] | None:
        """The entries of a folder; None where they cannot be had."""
        if folder not in self._folders:
            if len(self._folders) >= MOST_FOLDERS:
                return None
            self._folders[folder] = await self._nodes(folder)
        return self._folders[folder]

    async def _nodes(self, folder: bytes) -> dict[bytes, dict[str, Any]] | None:
        """The entries of a folder; None where it cannot be read. Raises UnreachableError and the like: nothing is
        judged by what a broken line left out."""
        where = os.fsdecode(join(self.part.snapshot.root, folder))
        for left in range(TRIES - 1, -1, -1):
            try:
                return await commands.cat_tree(self.repository, f"{self.part.snapshot.id}:{where}")
            except UnreachableError:
                if not left:
                    raise
            except (HostKeyError, AuthenticationError):
                raise
            except VaultdError:
                break
        return None


async def judge_all(
    repository: Repository, ledger: Path, vault: str, target: str, part: Part, known: Known
) -> tuple[list[Difference], dict[bytes, list[Version]]]:
    """The verdict on every odd file of a snapshot, by path; and all versions of these files."""
    unique = {odd.path: odd for odd in part.rows.odd}  # what has no row may have been read twice
    found = sorted(unique.values(), key=lambda odd: odd.path)
    versions = await asyncio.to_thread(history, ledger, vault, [odd.path for odd in found])
    gone = await asyncio.to_thread(destroyed, Reader(ledger), vault, target) if found else Destroyed()
    judge = Judge(repository, part, versions, known, gone)
    return [one for odd in found if (one := await judge.judge(odd)) is not None], versions


def missing(row: Row, snapshot: str) -> Difference:
    """The verdict on a file of a snapshot that is not there."""
    return Difference(row.path, Verdict.MISSING, snapshot, row.sha256, None, _("the snapshot is gone"))
