"""An evacuation on one target: tier after tier, in batches that are each restorable by themselves.

Tiers are the vaults of one priority. In a tier a vault's own ``first`` patterns go before, then the smallest files, so
that the most records are safe soonest. A batch is an express snapshot of about so many seconds of the line as it was
measured: half as many after each break, more while it holds. While the last of a batch is still on its way, the next
one's restic starts: to open the repository takes it a second in which the line would be idle.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import Protocol

from vaultd.errors import ResticError, RootError, TargetFullError, UnreachableError, VaultdError
from vaultd.model import SnapshotKind
from vaultd.protect import changeset
from vaultd.protect.alarm import check_mass_change, note_exceptions
from vaultd.protect.changeset import ChangeSet
from vaultd.protect.estimate import START_SECONDS, learn_rate, rate_of
from vaultd.protect.health import Health
from vaultd.protect.refs import Context, TargetRef
from vaultd.protect.root import check_root
from vaultd.protect.schedule import Series
from vaultd.protect.snapshot import Done, Line, make
from vaultd.restic.tags import new_change_set
from vaultd.store import PendingRow

BATCH_SECONDS = 20.0
SHORTEST_BATCH = 2.0
LONGEST_BATCH = 60.0
GROWTH = 1.5
FIRST_SECONDS = 4.0
"""Until the line's rate is known: a batch of so many seconds at the rate that is guessed."""

MOST_FILES = 20_000
"""In a batch: restic keeps the list of its paths in the snapshot (11 KB for so many)."""

PACK_MEGABYTES = 8
"""Smaller than restic's own 16: what is on its way when the line breaks is lost, and a batch's end waits for it."""

REPAIR_SECONDS = 40.0
"""What a break has cost is sent again where that takes less than this: to mend the index first is no quicker."""

EXACT_SHARE = 0.02
"""A full snapshot follows a tier where it takes no more than this part of the time that the other tiers still need."""

LOOK_SECONDS = 0.05


class Journal(Protocol):
    """Who keeps what becomes of the batches. Called from the event loop."""

    def began(self, change_set: str, tier: int, vault: str, target: str, files: int, size: int) -> None:
        """A batch is about to be sent. Raises StateError."""

    def safe(self, change_set: str, files: int, size: int) -> None:
        """It is acknowledged."""

    def broken(self, change_set: str, error: str) -> None:
        """It was lost on the way; what is in it stays pending."""


@dataclass(slots=True)
class _Batch:
    """A batch that is ready to be sent, or on its way."""

    series: Series
    tier: int
    changes: ChangeSet
    expected: float
    run: str = ""
    began: float = 0.0
    read: int = 0
    done: bool = False

    def nearly_over(self, now: float) -> bool:
        """Whether restic has read it all, and what is on its way takes about as long as another one's start."""
        return self.read >= self.changes.expected[1] and now >= self.began + self.expected - START_SECONDS


@dataclass(slots=True)
class Hurry:
    """The evacuation of a target's vaults. ``numbers``: which tier a priority is. ``run`` does all that is pending;
    ``over``: it was ended meanwhile."""

    context: Context
    target: TargetRef
    health: Health
    series: Sequence[Series]
    numbers: Mapping[int, int]
    journal: Journal
    seconds: float = BATCH_SECONDS
    rate: float | None = None
    over: bool = False
    _rested: dict[int, float] = field(default_factory=dict)
    _exact: set[int] = field(default_factory=set)
    """The tiers that a full snapshot has followed, or that had no need of one."""

    def __post_init__(self) -> None:
        # No limit of bandwidth holds in an emergency, and nothing else on this host goes before.
        urgent = replace(self.target.repository, limit_upload=None, urgent=True)
        self.target = replace(self.target, repository=urgent)
        self.series = sorted(self.series, key=lambda one: (one.vault.config.priority, one.vault.name))
        self.rate = rate_of(self.context.store, self.target.name)

    def tiers(self) -> list[tuple[int, list[Series]]]:
        """The vaults by priority: the number of the tier, and its vaults."""
        return [
            (self.numbers[priority], list(tier))
            for priority, tier in groupby(self.series, key=lambda one: one.vault.config.priority)
        ]

    async def run(self) -> bool:
        """Send all that is pending. Returns whether anything was sent. Raises VaultdError when the target or restic
        failed: what was on its way is pending still, and the next batches are smaller."""
        await self.health.make_ready(worth=int(REPAIR_SECONDS * self._rate()))
        sending: dict[asyncio.Task[Done | None], _Batch] = {}
        ready: _Batch | None = None
        sent = False
        try:
            while True:
                if ready is None and len(sending) < 2 and not self.over:
                    ready = await self._next(list(sending.values()))
                if ready is not None and not sending and not self.over:
                    await self._make_exact(ready)
                if ready is not None and self._may_start(list(sending.values())):
                    sending[self._start(ready, list(sending.values()))] = ready
                    ready, sent = None, True
                    continue
                if not sending:
                    return sent
                await asyncio.wait(sending, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                for task in [one for one in sending if one.done()]:
                    batch = sending.pop(task)
                    self._learn(batch, task.result())
        except VaultdError as error:
            if isinstance(error, (UnreachableError, ResticError)):
                self.seconds = max(SHORTEST_BATCH, self.seconds / 2)
            raise
        finally:
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    def _may_start(self, sending: Sequence[_Batch]) -> bool:
        """What is ready is of the same tier as what is on its way (``_next``)."""
        now = time.monotonic()
        return all(one.nearly_over(now) for one in sending)

    # choosing

    async def _next(self, sending: Sequence[_Batch]) -> _Batch | None:
        """The next batch, looked at on disk; None when nothing more is pending."""
        for number, tier in self.tiers():
            for series in tier:
                if self._rested.get(series.vault.id, 0.0) > time.monotonic():
                    continue
                taken = {path for one in sending if one.series is series for path in one.changes.attempts}
                try:
                    batch = await asyncio.to_thread(self._take, series, number, taken)
                except RootError:  # its alert stands; the other vaults must not wait for it
                    self._rested[series.vault.id] = time.monotonic() + 5.0
                    continue
                if batch is not None:
                    return batch
            if any(one.tier == number for one in sending):
                return None  # what is on its way may have to be sent again, before the next tier
        return None

    def _take(self, series: Series, tier: int, taken: set[bytes]) -> _Batch | None:
        store, vault = self.context.store, series.vault
        rows = self._rows(series, taken)
        if not rows:
            return None
        check_root(store, vault)
        changes = changeset.take(store, vault, rows, [])
        changes.check = partial(check_mass_change, store, vault, self.target, changes)
        if not changes.roots:  # all of it has vanished, or cannot be read: an ordinary run sees to that
            self._rested[vault.id] = time.monotonic() + 2.0
            return None
        expected = START_SECONDS + changes.expected[1] / (self.rate or series.cost.rate)
        return _Batch(series, tier, changes, expected)

    def _rows(self, series: Series, taken: set[bytes]) -> list[PendingRow]:
        """The rows of a batch, in the order of their urgency."""
        store, vault, target = self.context.store, series.vault, self.target.id
        limit, size = MOST_FILES + len(taken), 0
        urgent = store.matching_rows(target, vault.id, vault.config.first, limit) if vault.config.first else []
        known = {row.path for row in urgent}
        rows = [*urgent, *(row for row in store.smallest_rows(target, vault.id, limit) if row.path not in known)]
        most = self._most_bytes(series)
        found: list[PendingRow] = []
        for row in rows:
            if row.path in taken:
                continue
            if found and (size + row.size > most or len(found) >= MOST_FILES):
                break
            found.append(row)
            size += row.size
        return found

    def _rate(self) -> float:
        return self.rate or max((one.cost.rate for one in self.series), default=1.0)

    def lets_go_on(self, vault: int, kind: SnapshotKind, size: int) -> bool:
        """Whether a run that is on its way already is what would be sent first anyway."""
        first = self.series[0].vault.config.priority if self.series else 0
        urgent = any(one.vault.id == vault and one.vault.config.priority == first for one in self.series)
        return urgent and kind is SnapshotKind.EXPRESS and size <= self._rate() * self.seconds

    def _most_bytes(self, series: Series) -> int:
        if self.rate is None:
            return int(series.cost.rate * min(self.seconds, FIRST_SECONDS))
        return max(1, int(self.rate * self.seconds))

    # exact

    async def _make_exact(self, ready: _Batch) -> None:
        """Before a tier begins: full snapshots of those before it, where that costs the rest next to nothing."""
        for number, tier in self.tiers():
            if number >= ready.tier or number in self._exact:
                continue
            self._exact.add(number)
            for series in tier:
                if await asyncio.to_thread(self._is_affordable, series, number):
                    await self._full(series)

    def _is_affordable(self, series: Series, tier: int) -> bool:
        store, vault = self.context.store, series.vault
        backlog = store.backlog(self.target.id, vault.id)
        first = store.last_snapshot(self.target.id, vault.id, SnapshotKind.FULL) is None  # it would read all again
        if first or not backlog.owed or backlog.files:
            return False
        left = sum(
            store.backlog(self.target.id, one.vault.id).bytes
            for number, later in self.tiers() if number > tier for one in later
        )  # fmt: skip
        expected = series.cost.expected_full(store.totals(vault.id)[0], 0)
        return expected <= EXACT_SHARE * left / self._rate()

    async def _full(self, series: Series) -> None:
        store, vault = self.context.store, series.vault

        def take() -> ChangeSet | None:
            if check_root(store, vault).withhold_full:
                return None
            return changeset.take(store, vault, changeset.rows_for_full(store, vault, self.target.id, False), None)

        try:
            changes = await asyncio.to_thread(take)
            if changes is not None:
                line = Line(pack_size=PACK_MEGABYTES)
                done = await make(self.context, vault, self.target, SnapshotKind.FULL, changes, line)
                series.cost.learn(full=True, seconds=done.seconds, sent=done.sent)
        except RootError:  # its alert stands
            self._rested[vault.id] = time.monotonic() + 5.0

    # sending

    def _start(self, batch: _Batch, sending: Sequence[_Batch]) -> asyncio.Task[Done | None]:
        batch.run = new_change_set(self.context.store.next_order())
        batch.began = time.monotonic()
        beside = sending[0].run if sending else ""
        return asyncio.create_task(self._send(batch, beside))

    async def _send(self, batch: _Batch, beside: str) -> Done | None:
        vault, changes = batch.series.vault, batch.changes
        self.journal.began(batch.run, batch.tier, vault.name, self.target.name, *changes.expected)

        def moved(_files: int, size: int) -> None:
            batch.read = size

        try:
            done = await make(
                self.context, vault, self.target, SnapshotKind.EXPRESS, changes, Line(pack_size=PACK_MEGABYTES),
                run=batch.run, beside=beside, on_moved=moved,
            )  # fmt: skip
        except RootError:
            self.journal.broken(batch.run, RootError.code)
            self._rested[vault.id] = time.monotonic() + 5.0
            return None
        except (VaultdError, asyncio.CancelledError) as error:
            reason = error.code if isinstance(error, VaultdError) else "interrupted"
            if isinstance(error, (UnreachableError, ResticError, TargetFullError, asyncio.CancelledError)):
                self.health.note_broken(changes.expected[1], error, time.monotonic() - batch.began)
            self.journal.broken(batch.run, reason)
            raise
        left = done.unread + done.retry
        self.journal.safe(batch.run, max(0, len(changes.files) - left), changes.expected[1])
        self.health.succeeded()
        await asyncio.to_thread(note_exceptions, self.context.store, vault, self.target)
        return done

    def _learn(self, batch: _Batch, done: Done | None) -> None:
        if done is None:
            return
        seconds = time.monotonic() - batch.began
        batch.series.cost.learn(full=False, seconds=done.seconds, sent=done.sent)
        self.rate = learn_rate(self.context.store, self.target.name, done.sent, seconds)
        if seconds >= 0.5 * self.seconds:
            self.seconds = min(LONGEST_BATCH, self.seconds * GROWTH)
