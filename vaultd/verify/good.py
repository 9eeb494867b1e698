"""Which version of a file is still whole, when the one that should be there is not.

The same version at another target comes first, then other versions, the newest first, here and there: within one
repository a snapshot that holds the same version shares its content, damage and all. The first candidates are read back
before they are named; of many differences the rest are named as the ledger has them, and said to be unread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaultd.errors import VaultdError
from vaultd.ledger.events import SnapshotMade
from vaultd.ledger.query import Query, matching
from vaultd.ledger.reading import Reader
from vaultd.model import StoredSnapshot
from vaultd.names import join
from vaultd.restic import commands
from vaultd.restic.process import Repository
from vaultd.verify.judge import Version
from vaultd.verify.result import Difference, Good
from vaultd.verify.stream import read_file

MOST_READ = 20
"""So many reads in all; each starts restic."""

TRIES = 3


@dataclass(frozen=True, slots=True)
class _Held:
    """A snapshot on record that holds a version."""

    target: str
    snapshot: str
    time: int
    version: Version
    change_set: str


@dataclass(slots=True)
class Finder:
    """``here`` is the target that was verified; ``repositories`` by the names of their targets, with it."""

    vault: str
    here: str
    repositories: Mapping[str, Repository]
    snapshots: Sequence[Mapping[str, Any]]
    stall: float
    reads: int = 0
    _listed: dict[str, dict[str, StoredSnapshot]] = field(default_factory=dict)
    _ids: dict[tuple[str, str], str] = field(default_factory=dict)

    async def find(self, one: Difference, versions: Sequence[Version]) -> Good | None:
        """A version that is whole; None where none is known."""
        unread: Good | None = None
        for tries, held in enumerate(self._candidates(one, versions)):
            same = held.version.sha256 == one.expected
            sha256 = held.version.sha256 or b""
            if self.reads >= MOST_READ or tries >= TRIES:
                found = Good(held.target, held.snapshot, held.time, sha256, same, read=False)
                return unread or (found if held.target != self.here or not same else None)
            there = await self._is_whole(one.path, held)
            if there:
                return Good(held.target, self._ids[held.target, held.snapshot], held.time, sha256, same, read=True)
            if there is None and unread is None:
                unread = Good(held.target, held.snapshot, held.time, sha256, same, read=False)
        return unread

    def _candidates(self, one: Difference, versions: Sequence[Version]) -> Iterator[_Held]:
        held = [found for version in versions if version.sha256 for found in self._holding(version, versions)]
        held.sort(key=lambda found: (found.version.entry, found.time), reverse=True)
        seen = set[tuple[str, bytes | None]]()
        for same in (True, False):
            for found in held:
                if (found.version.sha256 == one.expected) is not same or (same and found.target == self.here):
                    continue
                key = (found.target, found.version.sha256)
                if key not in seen:  # another snapshot there has the same content
                    seen.add(key)
                    yield found

    def _holding(self, version: Version, versions: Sequence[Version]) -> Iterator[_Held]:
        later = min((other.entry for other in versions if other.entry > version.entry), default=1 << 62)
        for made in self.snapshots:
            own = made["change_set"] == version.change_set
            full = (
                made["kind"] == "full"
                and "manifest_to" in made
                and version.entry < int(made["manifest_to"]) <= later
                # What its own run has found is not before that place, and is in it too.
                and all(other is version or other.change_set != made["change_set"] for other in versions)
            )
            if own or full:
                yield _Held(made["target"], made["snapshot"], int(made["time_ns"]), version, made["change_set"])

    async def _is_whole(self, path: bytes, held: _Held) -> bool | None:
        """Read it back. None: it cannot be found out now."""
        repository = self.repositories.get(held.target)
        if repository is None:
            return None
        try:
            if held.target not in self._listed:
                tags = [f"vault={self.vault}"]
                self._listed[held.target] = {one.id: one for one in await commands.snapshots(repository, tags)}
        except VaultdError:
            return None
        listed = self._listed[held.target]
        # Or a copy of it, since something was destroyed or the repository moved: the content decides.
        copy = (one for one in listed.values() if one.change_set == held.change_set)
        snapshot = listed.get(held.snapshot) or next(copy, None)
        if snapshot is None:
            return False
        self._ids[held.target, held.snapshot] = snapshot.id
        self.reads += 1
        _ended, found = await read_file(
            repository, snapshot.id, join(snapshot.root, path), lambda _size: None, self.stall
        )
        return found is not None and found.sha256 == held.version.sha256


def snapshots_of(ledger: Path, vault: str) -> list[dict[str, Any]]:
    """Every full and express snapshot of a vault that is on record, the newest first."""
    found = matching(Reader(ledger).newest_first(), Query(SnapshotMade.TYPE, vault))
    return [one for one in found if one["kind"] != "dump"]
