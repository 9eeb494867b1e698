"""What becomes of an evacuation's batches and tiers: kept in the store and left for the ledger in one transaction.

A batch is known before its restic is started. When a daemon dies between a batch's acknowledgement and its record here,
the next one finds it: on record there is neither a gap nor a double.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from vaultd.custody import owe
from vaultd.ledger.events import EvacuationBatch, EvacuationTier
from vaultd.store import Store
from vaultd.store.evacuations import BROKEN, PLANNED, SAFE, SENDING, BatchRow, Evacuation, TierRow
from vaultd.units import rfc3339


class EvacuationJournal:
    """Implements ``protect.hurry.Journal`` for one evacuation."""

    def __init__(self, store: Store, state: Path, one: Evacuation) -> None:
        self._store = store
        self._state = state
        self._of = one

    @property
    def _drill(self) -> int | None:
        return 1 if self._of.drill else None

    def began(self, change_set: str, tier: int, vault: str, target: str, files: int, size: int) -> None:
        """A batch is about to be sent."""
        row = BatchRow(change_set, tier, vault, target, SENDING, files, size, time.time_ns(), None)
        self._store.begin_batch(self._of.id, row)

    def safe(self, change_set: str, files: int, size: int) -> None:
        """It is acknowledged."""
        self._ended(change_set, SAFE, files, size, None)

    def broken(self, change_set: str, error: str) -> None:
        """It was lost on the way."""
        found = self._of_change_set(change_set)
        if found is not None:
            self._ended(change_set, BROKEN, found.files, found.bytes, error)

    def _of_change_set(self, change_set: str) -> BatchRow | None:
        sending = self._store.batches(self._of.id, state=SENDING)
        return next((one for one in sending if one.change_set == change_set), None)

    def _ended(self, change_set: str, state: str, files: int, size: int, error: str | None) -> None:
        row = self._of_change_set(change_set)
        if row is None:
            return
        took = max(0, time.time_ns() - row.began) // 1_000_000
        with self._store.database.write():
            self._store.end_batch(change_set, state, files, size)
            owe(self._store, self._state, EvacuationBatch(
                self._of.id, row.tier, row.vault, row.target, state, change_set, files, size, took, error, self._drill
            ))  # fmt: skip

    def find_left(self) -> int:
        """What a dead daemon has left "sending": acknowledged after all, or lost. Returns how many there were."""
        left = self._store.batches(self._of.id, state=SENDING)
        for row in left:
            if self._store.is_acknowledged(row.change_set):
                self._ended(row.change_set, SAFE, row.files, row.bytes, None)
            else:
                self._ended(row.change_set, BROKEN, row.files, row.bytes, "interrupted")
        return len(left)

    # tiers

    def plan(self, tier: int, target: str, vaults: Sequence[str], files: int, size: int) -> None:
        """So much of a tier is pending at a target."""
        row = TierRow(tier, target, tuple(vaults), PLANNED, files, size, None)
        with self._store.database.write():
            if self._store.plan_tier(self._of.id, row):
                self._note_tier(row, PLANNED, files, size, None, None)

    def tier_safe(self, row: TierRow, objectives: Mapping[str, float]) -> bool:
        """All of a tier's content is at a target. False when that is known already. ``objectives``: seconds, by
        vault."""
        now = time.time_ns()
        with self._store.database.write():
            if not self._store.set_tier(self._of.id, row.tier, row.target, SAFE, now):
                return False
            files, size = self._store.sent_batches(self._of.id).get((row.tier, row.target), (0, 0))
            objective = min((int(objectives[name] * 1000) for name in row.vaults if name in objectives), default=None)
            self._note_tier(row, SAFE, files, size, (now - self._of.ordered) // 1_000_000, objective)
        return True

    def _note_tier(
        self, row: TierRow, state: str, files: int, size: int, took: int | None, objective: int | None
    ) -> None:  # fmt: skip
        owe(self._store, self._state, EvacuationTier(
            self._of.id, row.tier, row.target, state, list(row.vaults), files, size, rfc3339(time.time_ns()), took,
            objective, self._drill,
        ))  # fmt: skip
