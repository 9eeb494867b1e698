"""Verify one vault at one target: read back what is there, compare, judge, and keep what was found.

Nothing of the data touches a disk here. What does is a private folder with names and hashes (``rows``) and restic's
cache of this run alone: the usual cache would answer for the target.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from vaultd import files
from vaultd.errors import RepositoryError, VaultdError
from vaultd.model import Progress, StoredSnapshot
from vaultd.restic import commands
from vaultd.restic.blobs import DamagedError, MasterKey, Opener, master_key
from vaultd.restic.contents import StoppedError
from vaultd.restic.fetch import Fetching
from vaultd.restic.process import Repository
from vaultd.verify import bulk, careful, expect, judge, plan, sample
from vaultd.verify.expect import Expected, Part
from vaultd.verify.good import Finder, snapshots_of
from vaultd.verify.kept import Begun, Kept
from vaultd.verify.plan import Piece
from vaultd.verify.reader import Record
from vaultd.verify.result import DIFFERENCES, MOST_TOLD, Asked, Result, Verdict
from vaultd.verify.rows import DONE, WANTED, Odd, Place, Row, Rows
from vaultd.verify.stream import Ended, read_folder

STALL_SECONDS = 120.0
RATE_SECONDS = 5.0


@dataclass(slots=True)
class Verification:
    """``ledger``: the folder that says what should be there; ``target`` its name there, None where that is not known.
    ``host``: whose snapshots, empty for those of any. ``kept`` is None on a machine without the state. ``work``: a
    folder for this run alone. ``others``: the vault's other targets, where a whole version is
    looked for; ``fetching``: how the repository's own files are read, None: by restic alone."""

    repository: Repository
    vault: str
    target: str | None
    ledger: Path
    host: str
    work: Path
    asked: Asked
    kept: Kept | None = None
    fetching: Fetching | None = None
    others: Mapping[str, Repository] = field(default_factory=dict)
    on_progress: Callable[[Progress], None] = lambda _progress: None
    stall: float = STALL_SECONDS
    result: Result = field(init=False)
    _key: asyncio.Task[MasterKey] | None = field(init=False, default=None)
    _chosen: set[int] = field(init=False, default_factory=set)
    _meter: _Meter = field(init=False)
    _place: Place = field(init=False)
    _careful: careful.Careful = field(init=False)

    async def run(self) -> Result:
        """Verify. Never raises VaultdError: the result has it. A cancellation leaves what was read on record, and goes
        on out of here."""
        began = time.monotonic()
        self.result = Result(self.vault, self.target or "", self.asked)
        self._meter = _Meter(self.vault, self.target or "", self.on_progress)
        self.repository = replace(self.repository, cache=self.work / "cache")
        files.make_private_directory(self.repository.cache)
        self._place = Place(self.work)
        self._careful = careful.Careful(
            self.repository, self.stall, self._read_folder, self._take, self._meter.bytes_read
        )
        begun = await asyncio.to_thread(self.kept.begin, self.asked) if self.kept is not None else None
        if begun is not None:
            self.result.asked = self.asked = begun.asked
        try:
            await self._all(begun)
        except VaultdError as error:
            self.result.state, self.result.error = "failed", error
        except BaseException:
            self.result.state = "interrupted"
            raise
        finally:
            if self._key is not None:
                self._key.cancel()
                await asyncio.gather(self._key, return_exceptions=True)
            self.result.seconds = time.monotonic() - began
            self._place.bench.close()
            if self.kept is not None and begun is not None:
                self.kept.end(begun, self.result)
        return self.result

    async def _all(self, begun: Begun | None) -> None:
        expected = await self._expected()
        self.target = self.result.target = expected.target
        self.result.missing = expected.missing
        if expected.destroyed:
            self.result.counts[Verdict.DESTROYED] += expected.destroyed
        self.result.snapshots = [part.snapshot.id for part in expected.parts]
        if expected.gone is not None:
            await self._give_up(expected)
            return
        self.result.time = expected.parts[0].snapshot.time
        await self._complete([part for part in expected.parts if part.others])
        await self._bulk(expected.parts[0], begun)
        work = [(part, piece) for part in expected.parts for piece in await self._pieces(part, begun)]
        self._meter.begin(
            sum(piece.files for _part, piece in work), sum(piece.read for _part, piece in work)
        )  # fmt: skip
        for part, piece in work:
            await self._read(part, piece)
        for part in expected.parts:
            await self._finish(part)

    async def _complete(self, parts: Sequence[Part]) -> None:
        """Find out which versions that came on record otherwise these express snapshots hold: one look at all."""
        listed = await commands.find_files(self.repository, [part.snapshot.id for part in parts]) if parts else {}
        for part in parts:
            await asyncio.to_thread(part.add, listed.get(part.snapshot.id, ()))

    async def _bulk(self, part: Part, begun: Begun | None) -> None:
        """Many small files are read pack by pack; what could not be read so is left to restic."""
        await self._choose(part, begun)
        files, size = await asyncio.to_thread(part.rows.totals, WANTED)
        if self.fetching is None or not bulk.worth_it(files, size):
            return
        opener = Opener(await self._key if self._key is not None else await master_key(self.repository))
        self._meter.begin(files, size)
        stop = threading.Event()

        def read() -> None:
            if self.fetching is None:
                return
            with self.fetching() as fetch, contextlib.suppress(DamagedError, StoppedError, FileNotFoundError):
                take, good = partial(self._taken, part), partial(self._good, part)
                bulk.Bulk(self._place, part, opener, fetch, take, good, self._meter.bytes_read, stop).run()

        reading = asyncio.create_task(asyncio.to_thread(read))
        try:
            await asyncio.shield(reading)
        except RepositoryError:  # restic has the last word
            pass
        finally:
            stop.set()  # what it has begun it ends, or the workbench would go from under it
            await asyncio.gather(reading, return_exceptions=True)
        self._meter.stream_done()

    async def _expected(self) -> Expected:
        """What should be there. A snapshot that came after the list was made is not missing: then look again."""
        for last in (False, True):
            tags = [f"vault={self.vault}"]
            listed = {
                one.id: one for one in await commands.snapshots(self.repository, tags)
                if self.host in ("", one.host)
            }  # fmt: skip
            if self.fetching is not None and self._key is None and _many(listed.values()):
                self._key = asyncio.create_task(master_key(self.repository))  # while the ledger is read
            found = await asyncio.to_thread(
                expect.load, self.ledger, self.vault, self.target, listed, self._place, self._meter.entries
            )
            if not found.missing or last:
                return found
            self._place.bench.db.execute("DELETE FROM recorded")
        raise AssertionError("not reached")

    async def _pieces(self, part: Part, begun: Begun | None) -> Sequence[Piece]:
        """What is still to be read of a snapshot."""
        if part.entry not in self._chosen:
            await self._choose(part, begun)
        return await asyncio.to_thread(plan.pieces, part.rows)

    async def _choose(self, part: Part, begun: Begun | None) -> None:
        """Mark what is to be read."""

        def choose() -> None:
            if self.kept is not None and begun is not None and begun.goes_on:
                part.rows.set_verified(self.kept.verified(begun.since))
            sample.choose(part, self.asked, self.kept)
            self.result.before += part.rows.totals(DONE)[0]

        self._chosen.add(part.entry)
        await asyncio.to_thread(choose)

    async def _read(self, part: Part, piece: Piece) -> None:
        if piece.is_file:
            row = part.rows.one(piece.path)
            if row is not None:
                await self._careful.one(part, row)
        else:
            ended = await self._read_folder(part, piece.path)
            await self._careful.go_on(part, piece.path, ended)

    async def _read_folder(self, part: Part, folder: bytes) -> Ended:
        where = plan.absolute(part.snapshot.root, folder)

        def take(records: Sequence[Record]) -> None:
            self._taken(part, records)

        ended = await read_folder(self.repository, part.snapshot.id, where, take, self._meter.bytes_read, self.stall)
        self._meter.stream_done()
        return ended

    async def _take(self, part: Part, records: list[Record]) -> None:
        await asyncio.to_thread(self._taken, part, records)
        self._meter.stream_done()

    def _taken(self, part: Part, records: Sequence[Record]) -> None:
        good, count, read = part.rows.check(records)
        self.result.counts[Verdict.OK] += len(good)
        self.result.files += count
        self.result.size += read
        self._meter.files(count)
        if self.kept is not None:
            self.kept.note(good)

    def _good(self, part: Part, rows: list[Row]) -> None:
        part.rows.settle(rows)
        self.result.counts[Verdict.OK] += len(rows)
        self.result.files += len(rows)
        self.result.size += sum(row.size for row in rows)
        self._meter.files(len(rows))
        if self.kept is not None:
            self.kept.note(rows)

    async def _finish(self, part: Part) -> None:
        """What was to be read and did not come is not there; then judge everything that is not as on record."""
        missing = await asyncio.to_thread(lambda: list(part.rows.wanted()))
        part.rows.odd.extend(Odd(row.path, row, None, row.size, "", lost=False) for row in missing)
        known = self.kept or judge.Nothing()
        judged, versions = await judge.judge_all(
            self.repository, self.ledger, self.vault, self.target or "", part, known
        )
        for one in judged:
            self.result.add(one)
        told = [one for one in judged if one.verdict in DIFFERENCES]
        if not told:
            return
        here = self.target or ""
        finder = Finder(
            self.vault, here, {**self.others, here: self.repository},
            await asyncio.to_thread(snapshots_of, self.ledger, self.vault), self.stall,
        )  # fmt: skip
        for one in told[:MOST_TOLD]:
            one.good = await finder.find(one, versions.get(one.path, ()))

    async def _give_up(self, expected: Expected) -> None:
        """No full snapshot that is on record is there."""
        rows: Rows | None = expected.gone
        if rows is None:
            return
        for row, _state in await asyncio.to_thread(lambda: list(rows.all())):
            self.result.add(judge.missing(row, expected.missing[0]))


def _many(listed: Iterable[StoredSnapshot]) -> bool:
    return max((one.files for one in listed), default=0) >= bulk.LEAST_FILES


class _Meter:
    """How far it is, for people."""

    def __init__(self, vault: str, target: str, show: Callable[[Progress], None]) -> None:
        self.vault, self.target, self.show = vault, target, show
        self.done = self.total = self.size = self.whole = 0
        self._stream = 0
        self._marks: list[tuple[float, int]] = []
        self._shown = 0.0

    def entries(self, done: int, total: int) -> None:
        """So many entries of the ledger were looked at."""
        self.show(Progress("ledger", self.vault, self.target, "", done, total, 0, 0, 0.0, None))

    def begin(self, files: int, size: int) -> None:
        """So much more is to be read."""
        self.total, self.whole = self.done + files, self.size + size
        self._tell(force=True)

    def files(self, count: int) -> None:
        """So many more files came."""
        self.done += count

    def bytes_read(self, stream: int) -> None:
        """A stream has given so much so far."""
        self._stream = max(self._stream, stream)
        self._tell()

    def stream_done(self) -> None:
        """The stream is over."""
        self.size, self._stream = self.size + self._stream, 0
        self._tell()

    def _tell(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now < self._shown + 0.2:
            return
        self._shown = now
        size = self.size + self._stream
        self._marks = [*(mark for mark in self._marks if mark[0] > now - RATE_SECONDS), (now, size)]
        first, before = self._marks[0]
        rate = (size - before) / (now - first) if now > first else 0.0
        whole = max(self.whole, size)
        left = (whole - size) / rate if rate > 0 else None
        self.show(
            Progress(
                "verify", self.vault, self.target, "", self.done, max(self.total, self.done), size, whole, rate, left
            )
        )
