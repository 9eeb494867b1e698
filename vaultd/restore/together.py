"""Many express snapshots put over a restored folder together: one reading of their lists, one merge.

A restic for each of them derives the key, reaches the server and reads the index anew, a second or more, for the few
files of an express snapshot, most of which a later one replaces. So their lists are read without restic
(``restic.contents``), what they make of the folder is worked out (``layers``), of each path the newest version is
written to a stage (``newest``), and one merge puts that in place. What cannot be read so, or is not wholly as it should
be, is left to restic, which has the last word: a snapshot at a time, in the same order, with the same end.

``together.json`` in the workplace says what the merge does, written when the stage is complete and durable: a restore
that was interrupted before it begins anew, one after it is carried out again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vaultd import files
from vaultd.errors import UnreachableError, VaultdError
from vaultd.model import StoredSnapshot
from vaultd.restic.blobs import DamagedError, MasterKey, Opener, master_key
from vaultd.restic.contents import Contents
from vaultd.restic.fetch import Fetching, in_folder
from vaultd.restic.process import Repository
from vaultd.restore import workplace
from vaultd.restore.engine import Problem, Ran, source_of
from vaultd.restore.layers import Layers, UnfitError, listing
from vaultd.restore.merge import Merge, carry_out
from vaultd.restore.metadata import Metadata
from vaultd.restore.newest import Stage
from vaultd.restore.plan import Plan
from vaultd.restore.workplace import Workplace
from vaultd.units import SECOND

log = logging.getLogger(__name__)

LEAST = 3
"""Fewer are not worth it."""

MOST_ENTRIES = 100_000
MOST_BYTES = 512 << 20
"""A snapshot that is larger is restored by restic, which is quicker with much content and keeps less in memory."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The snapshots from the place ``first`` of the plan on, ``count`` of them, staged. ``top``: the metadata of the
    restored folder after them; ``problems``: of what was written."""

    first: int
    count: int
    merge: Merge
    reports: dict[int, Merge]
    top: Metadata | None
    problems: list[Problem]

    def as_json(self) -> dict[str, Any]:
        """For the file of the workplace."""
        return {
            "first": self.first,
            "count": self.count,
            "merge": self.merge.as_json(),
            "reports": {str(place): report.as_json() for place, report in self.reports.items()},
            "top": self.top.as_json() if self.top else None,
            "problems": [[one.path, one.message] for one in self.problems],
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Prepared:
        """The inverse of ``as_json``."""
        return cls(
            found["first"], found["count"], Merge.from_json(found["merge"]),
            {int(place): Merge.from_json(report) for place, report in found["reports"].items()},
            Metadata.from_json(found["top"]) if found["top"] else None,
            [Problem(path, message) for path, message in found["problems"]],
        )  # fmt: skip


def prepared(work: Workplace) -> list[Prepared]:
    """What was prepared in a workplace, in order; the last may not be in place yet."""
    found = [Prepared.from_json(json.loads(path.read_bytes())) for path in work.path.glob("together-*.json")]
    return sorted(found, key=lambda one: one.first)


def put_in_place(work: Workplace, found: Prepared, to: bytes) -> list[Problem]:
    """Do what is left to do of the merge; returns what could not be done, or not wholly."""
    problems = found.problems + carry_out(found.merge, bytes(work.path / "together"), to)
    work.root = found.top or work.root
    return problems


@dataclass(slots=True)
class Together:
    """For one restore; ``begin`` before the first snapshot is restored, and ``end`` it. ``unfit``: the places of
    snapshots that restic has to restore."""

    repository: Repository
    plan: Plan
    to: bytes
    on_step: Callable[[Ran], None]
    unfit: set[int] = field(default_factory=set)
    _key: asyncio.Task[MasterKey] | None = None

    def __post_init__(self) -> None:
        for place, one in enumerate(self.plan.snapshots):
            if one.bytes > MOST_BYTES or one.files > MOST_ENTRIES:
                self.unfit.add(place)

    def begin(self) -> None:
        """Ask for the repository's key beside the first restore."""
        if self._end(1) - 1 >= LEAST:
            self._key = asyncio.create_task(master_key(self.repository))

    async def end(self) -> None:
        """Leave nothing running."""
        if self._key is not None:
            self._key.cancel()
            await asyncio.gather(self._key, return_exceptions=True)

    def _end(self, first: int) -> int:
        """The place of the next snapshot that cannot be read together with the others."""
        if self.plan.paths or self._fetching() is None:
            return first
        return min((place for place in self.unfit if place >= first), default=len(self.plan.snapshots))

    def _fetching(self) -> Fetching | None:
        return self.repository.files or in_folder(self.repository.url)

    async def prepare(self, work: Workplace, first: int) -> Prepared | None:
        """Stage as many snapshots as can be, from this place of the plan on; None: restic has to restore it.

        Raises UnreachableError when the line breaks, OSError where it cannot be written.
        """
        fetching, end = self._fetching(), self._end(first)
        if fetching is None or end - first < LEAST:
            return None
        try:
            if self._key is None:
                self._key = asyncio.create_task(master_key(self.repository))
            try:
                opener = Opener(await asyncio.shield(self._key))
            except VaultdError:
                self._key = None  # another try may have more luck
                raise
            return await self._in_thread(fetching, opener, work, first, end)
        except UnreachableError:
            raise
        except VaultdError as error:
            log.info("express snapshots are restored by restic: %s", error)
            self.unfit.update(range(first, len(self.plan.snapshots)))
            return None

    async def _in_thread(
        self, fetching: Fetching, opener: Opener, work: Workplace, first: int, end: int
    ) -> Prepared | None:
        stop, ran = threading.Event(), Ran()

        def read() -> Prepared | None:
            with fetching() as fetch, closing(Contents(fetch, opener, stop)) as contents:
                return self._read(contents, work, first, end, ran)

        reading = asyncio.create_task(asyncio.to_thread(read))
        try:
            while not reading.done():
                await asyncio.wait({reading}, timeout=0.5)
                self.on_step(ran)
            return reading.result()
        finally:
            stop.set()  # what it has begun it ends: it works in the stage
            await asyncio.gather(reading, return_exceptions=True)

    def _read(self, contents: Contents, work: Workplace, first: int, end: int, ran: Ran) -> Prepared | None:
        stage = work.path / "together"
        while end - first >= LEAST:
            layers = Layers(self.to, work.root.mtime if work.root else None, os.fsencode(work.path.name))
            end = self._add(contents, layers, first, end)
            if end - first < LEAST:
                break
            workplace.remove(stage)
            stage.mkdir(mode=0o700)
            merge = layers.merge()
            ran.files, ran.bytes = 0, 0
            ran.files_total = len(layers.placed)
            ran.bytes_total = sum(one.node.size for one in layers.placed.values())

            def tell(count: int, size: int) -> None:
                ran.files += count
                ran.bytes += size

            writing = Stage(bytes(stage), contents, merge.folders, tell)
            try:
                writing.write(layers.placed)
            except UnfitError as error:
                end = self._leave(error.place)
                continue
            found = Prepared(first, end - first, merge, layers.reports, layers.top, writing.problems)
            files.sync_filesystem(stage)  # what the file says is there must be there
            work.note(work.path / f"together-{first}.json", found.as_json())
            return found
        return None

    def _add(self, contents: Contents, layers: Layers, first: int, end: int) -> int:
        """Work out what the snapshots do; the place of the first that is not in it."""
        for place in range(first, end):
            one = self.plan.snapshots[place]
            suffix = suffix_of(one)
            try:
                found = listing(contents, one.tree, source_of(one), suffix, MOST_ENTRIES)
            except (UnfitError, DamagedError, FileNotFoundError):
                return self._leave(place)
            layers.add(place, found)
        return end

    def _leave(self, place: int) -> int:
        log.info("snapshot %s is restored by restic", self.plan.snapshots[place].id[:8])
        self.unfit.add(place)
        return place


def suffix_of(snapshot: StoredSnapshot) -> str:
    """What tells that a file put beside is of this snapshot."""
    return f"{datetime.fromtimestamp(snapshot.time // SECOND, UTC):%Y%m%dT%H%M%SZ}"
