"""Everything that a target stores, read back pack by pack: what only older snapshots need too, folders, and dumps.

The files of a vault as it is now are read one by one and compared with the ledger (``run``). That leaves what is in no
file of now. So every pack that the index names comes whole, too: its SHA-256 must be its name, and every blob in it
must open and have the SHA-256 that is its id. A snapshot is a tree of such ids: where all packs are whole, every
version of every file in every snapshot is there, as restic stored it.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from vaultd.errors import RepositoryError, VaultdError
from vaultd.ledger.events import PacksRead
from vaultd.restic.blobs import DamagedError, MasterKey, Opener, blobs_of, master_key
from vaultd.restic.fetch import Fetch, Fetching
from vaultd.restic.process import Repository
from vaultd.store import Store

GONE, DAMAGED, UNREADABLE = "gone", "damaged", "unreadable"
_NAME = re.compile("[0-9a-f]{64}", re.ASCII)
MOST_ON_RECORD = 100
"""So many ids of packs that are not whole are in the ledger's entry."""

PART = 16 << 20
"""A pack is fetched in such parts, so that it can be ended in between; where a limit makes the line slow, in smaller
ones."""

PART_SECONDS = 2


@dataclass(slots=True)
class Swept:
    """What was read back: so many packs of so many bytes, and the ids of those that are not whole. ``error``: what
    ended it before its time."""

    packs: int = 0
    size: int = 0
    faults: list[str] = field(default_factory=list)
    error: VaultdError | None = None

    def entry(self, target: str, who: str) -> PacksRead:
        """What goes on record of it."""
        return PacksRead(
            target, "done" if self.error is None else "failed", self.packs, self.size, len(self.faults), who,
            self.faults[:MOST_ON_RECORD] or None, None if self.error is None else self.error.code,
        )  # fmt: skip


@dataclass(slots=True)
class Sweep:
    """Packs of one target. ``limit``: KiB/s, None: as fast as the line is. ``tell`` hears how many packs and bytes of
    how many are read."""

    store: Store
    target: int
    repository: Repository
    fetching: Fetching
    limit: int | None = None
    tell: Callable[[int, int, int, int], None] = lambda _packs, _all, _size, _whole: None
    _stop: threading.Event = field(default_factory=threading.Event)

    async def renew(self) -> None:
        """Look which packs the index names now. A file of the index that is damaged is noted like a pack. Raises
        VaultdError."""
        await self._apart(self._renew)

    async def read(self, most: int, before: int) -> Swept:
        """Read back packs of at least ``most`` bytes in all, of those that were not read since ``before`` (nanoseconds
        since 1970). Never raises VaultdError: the result has it. What was read is on record at once; a cancellation
        goes on out of here."""
        found, due = Swept(), await asyncio.to_thread(self.store.due_packs, self.target, before)
        if not due:
            return found
        chosen, size = list[bytes](), 0
        for pack, length in due:
            chosen.append(pack)
            size += length
            if size >= most:
                break
        try:
            await self._apart(lambda fetch, opener: self._read(fetch, opener, chosen, size, found))
        except VaultdError as error:
            found.error = error
        return found

    async def _apart(self, work: Callable[[Fetch, Opener], None]) -> None:
        """In a thread, which ends soon when this is cancelled."""
        key: MasterKey = await master_key(self.repository)

        def go() -> None:
            with self.fetching() as fetch:
                work(fetch, Opener(key))

        self._stop.clear()
        working = asyncio.create_task(asyncio.to_thread(go))
        try:
            await asyncio.shield(working)
        finally:
            self._stop.set()
            await asyncio.gather(working, return_exceptions=True)

    def _renew(self, fetch: Fetch, opener: Opener) -> None:
        sizes, damaged = dict[bytes, int](), list[bytes]()
        for name in fetch.names("index"):
            if not _NAME.fullmatch(name):
                continue  # nothing of restic's
            try:
                raw = fetch.get(f"index/{name}")
            except FileNotFoundError:
                continue  # a newer one stands in for it
            try:
                found = [(bytes.fromhex(blob.pack), blob.length) for blob in blobs_of(opener.file(name, raw))]
            except (DamagedError, ValueError):
                damaged.append(bytes.fromhex(name))
                found = [(damaged[-1], len(raw))]
            for pack, length in found:
                sizes[pack] = sizes.get(pack, 0) + length
        self.store.set_packs(self.target, sizes.items())
        for one in damaged:
            self.store.note_pack(self.target, one, DAMAGED)

    def _read(self, fetch: Fetch, opener: Opener, chosen: list[bytes], size: int, found: Swept) -> None:
        for pack in chosen:
            if self._stop.is_set():
                return
            fault, read = self._look(fetch, opener, pack)
            if self._stop.is_set() and fault is not None:
                return  # ended in the middle of it
            if fault == GONE:
                self._renew(fetch, opener)  # it may have been cleared away meanwhile, by right
                if not self.store.has_pack(self.target, pack):
                    continue
            self.store.note_pack(self.target, pack, fault)
            found.packs += 1
            found.size += read
            if fault is not None:
                found.faults.append(pack.hex())
            self.tell(found.packs, len(chosen), found.size, size)

    def _look(self, fetch: Fetch, opener: Opener, pack: bytes) -> tuple[str | None, int]:
        """What is wrong with a pack, and how many bytes came."""
        name, raw = pack.hex(), bytearray()
        part = PART if self.limit is None else min(PART, max(1 << 16, self.limit * 1024 * PART_SECONDS))
        try:
            while not self._stop.is_set():
                more = fetch.part(f"data/{name[:2]}/{name}", len(raw), part)
                raw += more
                if len(more) < part:
                    break
            whole = bytes(raw)
            for blob in opener.pack(name, whole):
                opener.blob(blob, whole[blob.offset : blob.offset + blob.length])
        except FileNotFoundError:
            return GONE, 0
        except DamagedError:
            return DAMAGED, len(raw)
        except RepositoryError:  # the server cannot read it: its disk; a line that broke is another error
            return UNREADABLE, len(raw)
        return None, len(raw)


def settle(store: Store, target: str) -> None:
    """Raise the alert of packs that are not whole, or clear it when none stands."""
    count = len(store.pack_faults(store.target_id(target)))
    if count:
        store.alerts.raise_("packs-damaged", target=target, detail={"packs": count})
    else:
        store.alerts.clear("packs-damaged", target=target)


def mended(store: Store, target: str) -> None:
    """The repository was mended, and read back by restic: what was not whole counts as never read."""
    store.forget_pack_faults(store.target_id(target))
    settle(store, target)
